#pragma once

// What one rendering may use: work and size are bounded, so that a hostile template or conversation ends in
// an error.

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"

namespace baton::jinja {

inline constexpr uint64_t kMaxSteps = 4'000'000;
inline constexpr size_t kMaxBytes = 16 << 20;  // of the output, and of any one string
inline constexpr size_t kBytesPerStep = 64;    // building strings is work too

class Budget {
 public:
  absl::Status Spend(uint64_t steps) {
    steps_ += steps;
    if (steps_ <= kMaxSteps) return absl::OkStatus();
    return absl::ResourceExhaustedError("the template takes too many steps");
  }
  // Before a string of this size is built.
  absl::Status SpendBytes(size_t bytes) {
    if (bytes > kMaxBytes) return absl::ResourceExhaustedError("the template builds too much text");
    return Spend(bytes / kBytesPerStep);
  }

 private:
  uint64_t steps_ = 0;
};

}  // namespace baton::jinja
