#pragma once

// Whether to try again something that keeps failing: after a few failures in a row not before a pause, which
// doubles; then one try decides. A decision class. Not thread-safe.

#include <algorithm>

#include "common/clock.h"

namespace baton {

class PoolBreaker {
 public:
  bool Allows(MonoTime now) const { return failures_ < kFewest || now >= until_; }
  void Succeeded() {
    failures_ = 0;
    pause_ = kShortest;
  }
  void Failed(MonoTime now) {
    if (++failures_ < kFewest) return;
    until_ = now + pause_;
    pause_ = std::min(2 * pause_, kLongest);
  }
  bool open() const { return failures_ >= kFewest; }

 private:
  static constexpr int kFewest = 3;
  static constexpr absl::Duration kShortest = absl::Milliseconds(500);
  static constexpr absl::Duration kLongest = absl::Seconds(15);
  int failures_ = 0;
  absl::Duration pause_ = kShortest;
  MonoTime until_;
};

}  // namespace baton
