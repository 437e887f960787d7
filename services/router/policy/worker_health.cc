#include "services/router/policy/worker_health.h"

#include <algorithm>

namespace baton::router {

// Many calls break together when a worker dies: they count once.
void WorkerHealth::CallFailed(MonoTime now) {
  if (failing_ && Suspect(now)) return;
  failing_ = true;
  open_until_ = now + pause_;
  pause_ = std::min(pause_ * 2, config_.max_pause);
}

void WorkerHealth::CallWorked() {
  failing_ = false;
  pause_ = config_.min_pause;
  open_until_ = absl::InfinitePast();
}

void WorkerHealth::Placed(MonoTime now) {
  if (failing_ && !Suspect(now)) open_until_ = now + pause_;
}

}  // namespace baton::router
