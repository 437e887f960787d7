#pragma once

// Monotonic time. A MonoTime is an absl::Time whose zero means nothing: only differences do. Decision classes
// take `now` as an argument; only threads and services own a Clock.

#include <chrono>

#include "absl/time/time.h"

namespace baton {

using MonoTime = absl::Time;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonoTime Now() const = 0;  // thread-safe
};

class SteadyClock final : public Clock {
 public:
  MonoTime Now() const override {
    return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }
};

// Time that a test turns by hand. Not thread-safe.
class ManualClock final : public Clock {
 public:
  MonoTime Now() const override { return now_; }
  void Advance(absl::Duration by) { now_ += by; }

 private:
  MonoTime now_ = absl::UnixEpoch();
};

}  // namespace baton
