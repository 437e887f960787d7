#pragma once

// Where every broken invariant ends up. The first one fails the seed; the world stops there.

#include <string>

#include "absl/strings/str_cat.h"

namespace baton::sim {

class Checker {
 public:
  template <typename... Parts>
  void Fail(const Parts&... parts) {
    if (failure_.empty()) failure_ = absl::StrCat(parts...);
  }
  template <typename... Parts>
  void Require(bool ok, const Parts&... parts) {
    if (!ok) Fail(parts...);
  }
  bool failed() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }

 private:
  std::string failure_;
};

}  // namespace baton::sim
