#include "common/checksum.h"

#include <xxhash.h>

namespace baton {

uint64_t Checksum64(absl::Span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace baton
