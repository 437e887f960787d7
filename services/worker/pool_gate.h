#pragma once

// Between a prefill worker's calls and the worker: asks the node's pool for a prompt's leading blocks, moves
// them into the rank's prefix cache before the prompt is computed, if that is faster, and offers the pool
// what was computed afterwards. The pool's absence or failure only ever means that the prompt is computed at
// once.

#include <functional>
#include <memory>
#include <string>

#include "common/clock.h"
#include "services/worker/pool_client.h"
#include "services/worker/pool_planner.h"
#include "services/worker/worker.h"

namespace baton {

class PoolGate {
 public:
  // Before the first call to `worker`, which outlives the gate, as does `clock`. `endpoint` is HOST:PORT;
  // `cache_blocks` are the pages of a rank.
  PoolGate(const std::string& endpoint, int64_t cache_blocks, Worker* worker, const Clock* clock);
  ~PoolGate();  // no call is opened meanwhile; those prepared go on without the pool
  PoolGate(const PoolGate&) = delete;
  PoolGate& operator=(const PoolGate&) = delete;

  struct Stats {
    PoolClient::Stats client;
    PoolPlannerCounters planner;
    double bytes_per_second = 0, tokens_per_second = 0;
    absl::Duration mu;
    uint32_t least_blocks = 0;
    uint64_t offered = 0, wanted_blocks = 0;
  };
  Stats stats() const;  // thread-safe

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace baton
