#pragma once

// A worker's circuit breaker, fed by what becomes of calls to it (Nygard: "Release It!", 2007). A decision
// class.
//
// A call that was refused or broke opens it: the worker is suspect and leaves placement before its Watch
// tells of anything. After a pause, which doubles with every further failure, it is half open: one placement
// is let through, the probe, and then another pause must pass. A call that works closes it.
//
// Not thread-safe.

#include <cstdint>

#include "absl/time/time.h"
#include "common/clock.h"

namespace baton::router {

struct WorkerHealthConfig {
  absl::Duration min_pause = absl::Milliseconds(250);
  absl::Duration max_pause = absl::Seconds(8);
};

class WorkerHealth {
 public:
  explicit WorkerHealth(const WorkerHealthConfig& config = {}) : config_(config), pause_(config.min_pause) {}

  void CallFailed(MonoTime now);
  void CallWorked();
  void Placed(MonoTime now);  // something: in the half-open state, the probe
  bool Suspect(MonoTime now) const { return now < open_until_; }

 private:
  WorkerHealthConfig config_;
  bool failing_ = false;
  absl::Duration pause_;  // the next
  MonoTime open_until_ = absl::InfinitePast();
};

}  // namespace baton::router
