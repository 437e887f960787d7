#pragma once

// What a world is made of, all drawn from its seed.

#include <cstdint>

#include "engine/engine_core.h"
#include "tests/sim/network.h"
#include "tests/support/fake_runner.h"

namespace baton::sim {

// A deliberate error in the simulator's glue (never in production code), to prove that it would be found.
enum class Mutation : uint8_t {
  kNone,
  kSkipConfirm,       // the reader's end answers its own Confirm with *held*
  kTrustUnverified,   // units count as verified without a look at them
  kNoQuarantine,      // every lost pull is reported as fenced
  kForgetFence,       // PullFenced never reaches the worker
  kForgetLeaseEnd,    // OwnEnded never reaches the worker
  kEarlyFence,        // the wire reports an aborted read as completed, and its bytes land later
  kAcceptOldAttempt,  // the router takes tokens of any attempt for the current one's
  kLoseToken,         // now and then an event of a call is dropped
  kRepeatPosition,    // the worker's end emits a token again as the next position
  kForgetRelease,     // ReleaseCommand never reaches the engine
  kServeSuperseded,   // a worker forgets the attempts that it has seen
  kAdoptEarly,        // the engine is told *held* as soon as the seal has come
  kPublishLost,       // the blocks of a fetch that was given up become cached all the same
};
inline constexpr int kMutations = static_cast<int>(Mutation::kPublishLost) + 1;
const char* MutationName(Mutation mutation);

struct Topology {
  int routers = 2;
  int prefills = 1;
  int decodes = 2;
  int nodes() const { return 1 + routers + prefills + decodes; }  // node 0 is the world itself
  NodeId router(int i) const { return 1 + i; }
  NodeId worker(int i) const { return 1 + routers + i; }  // prefills first
  int workers() const { return prefills + decodes; }
  bool is_worker(NodeId node) const { return node > routers; }
  bool is_prefill(NodeId node) const { return is_worker(node) && node < 1 + routers + prefills; }
};

// Which faults a world has; swarm testing: each seed enables some of them only.
struct FaultPlan {
  bool calm = false;  // nothing goes wrong, nobody cancels
  LinkFaults links;
  int busy_per_mille = 0;
  int slow_fence_per_mille = 0;
  absl::Duration slow_fence = absl::Seconds(2);
  int crashes = 0, deaths = 0, pauses = 0, partitions = 0, call_breaks = 0, router_faults = 0, drains = 0;
  int role_flips = 0;
  int moves = 0;  // of running streams to another rank; no fault, but what faults shall meet
  absl::Duration active = absl::Seconds(6);  // afterwards everything heals
};

struct WorldOptions {
  uint64_t seed = 0;
  Mutation mutation = Mutation::kNone;
  Topology topology;
  FaultPlan faults;
  FakeRunnerOptions runner;
  EngineOptions prefill_engine, decode_engine;
  int64_t prefill_pages = 64, decode_pages = 64;
  int requests = 16;
  int64_t max_prompt = 120, max_new = 24;
  absl::Duration arrivals = absl::Seconds(3);
  int cancel_per_mille = 0, slow_per_mille = 0, deadline_per_mille = 0;
  int64_t emission_buffer = 64;
  uint64_t admit_inflight = 12, admit_queue = 8;
  uint32_t direct_below = 16;
  absl::Duration step_time = absl::Microseconds(200);  // of an engine, and for each token a tenth of it more
  absl::Duration retry_backoff = absl::Milliseconds(20);
};

// The world of a seed.
WorldOptions DrawOptions(uint64_t seed);

}  // namespace baton::sim
