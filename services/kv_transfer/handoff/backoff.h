#pragma once

// When to say something again: doubling waits between two bounds.

#include <algorithm>

#include "common/clock.h"

namespace baton {

class Backoff {
 public:
  Backoff(absl::Duration min, absl::Duration max) : min_(min), max_(max), wait_(min) {}
  // The next time, counted from `now`; the one after waits twice as long.
  MonoTime Next(MonoTime now) {
    const MonoTime at = now + wait_;
    wait_ = std::min(wait_ * 2, max_);
    return at;
  }
  void Reset() { wait_ = min_; }

 private:
  absl::Duration min_, max_, wait_;
};

}  // namespace baton
