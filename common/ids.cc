#include "common/ids.h"

#include <sodium.h>

#include "absl/strings/str_format.h"

namespace baton {

std::string Id128::ToHex() const {
  return absl::StrFormat("%016x%016x", hi, lo);
}

Id128 RandomId128() {
  Id128 id;
  randombytes_buf(&id, sizeof(id));
  return id;
}

}  // namespace baton
