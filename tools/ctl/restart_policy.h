#pragma once

// When a dead process is started again. A decision class: deaths and `now` in, a delay or "give up" out. Not
// thread-safe.
//
// The delay doubles with each death from 0.2 s to 10 s and is forgotten after 60 s of life. A process that
// dies five times in a row within 5 s of its start is given up: something is wrong that starting again does
// not cure.

#include <optional>

#include "absl/time/time.h"
#include "common/clock.h"

namespace baton::ctl {

class RestartPolicy {
 public:
  void OnStart(MonoTime now) { started_ = now; }

  // The delay before the next start; nothing: give up.
  std::optional<absl::Duration> OnDeath(MonoTime now) {
    const absl::Duration life = now - started_;
    if (life >= kForget) delay_ = kFirst;
    early_deaths_ = life < kEarly ? early_deaths_ + 1 : 0;
    if (early_deaths_ >= kMostEarlyDeaths) return std::nullopt;
    const absl::Duration delay = delay_;
    delay_ = std::min(delay_ * 2, kLast);
    return delay;
  }

 private:
  static constexpr absl::Duration kFirst = absl::Milliseconds(200);
  static constexpr absl::Duration kLast = absl::Seconds(10);
  static constexpr absl::Duration kForget = absl::Seconds(60);
  static constexpr absl::Duration kEarly = absl::Seconds(5);
  static constexpr int kMostEarlyDeaths = 5;

  MonoTime started_ = absl::UnixEpoch();
  absl::Duration delay_ = kFirst;
  int early_deaths_ = 0;
};

}  // namespace baton::ctl
