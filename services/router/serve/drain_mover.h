#pragma once

// A thread that looks at the cluster every few tens of milliseconds and moves this router's streams away from
// decode ranks that drain (policy/drain_moves.h), and tells those whose worker has fallen silent.

#include <memory>

#include "absl/time/time.h"
#include "common/clock.h"
#include "services/router/policy/drain_moves.h"
#include "services/router/registry/registry.h"
#include "services/router/serve/stream_table.h"

namespace baton::router {

class DrainMover {
 public:
  // What is pointed to outlives the mover.
  DrainMover(const DrainMovesConfig& config, Registry* registry, StreamTable* streams, const Clock* clock);
  ~DrainMover();  // joins; moves under way go on

 private:
  struct Impl;
  const std::shared_ptr<Impl> impl_;
};

}  // namespace baton::router
