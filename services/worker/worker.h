#pragma once

// A worker process's runtime: engines (one a rank), the handoff node, and a WorkerCore that one dispatcher
// thread feeds. Knows no gRPC: services hand it calls and sinks.
//
// Threads: each engine's, the handoff's and the callers' threads only append to the dispatcher's inbox, which
// never blocks them; the dispatcher alone touches the core and hands out its actions. What the inbox holds is
// bounded by its sources: calls in flight, sequences per step, leases; and the dispatcher waits for none of
// them.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/engine.h"
#include "engine/model/runner.h"
#include "services/kv_transfer/handoff/node.h"
#include "services/worker/block_journal.h"
#include "services/worker/worker_core.h"

namespace baton {

struct WorkerOptions {
  std::string name = "worker";
  std::string model;       // the name that clients know it by
  WorkerCoreOptions core;  // ranks, max_context and vocab_size are taken from the runners
  EngineOptions engine;
  HandoffOptions handoff;  // the fingerprint is taken from the runners
  absl::Duration tick = absl::Milliseconds(20);
  absl::Duration wedge_timeout =
      absl::Seconds(60);  // a thread has not come round its loop for so long: unhealthy
};

// A call's way back to its client. Called on the dispatcher's thread, in order; must not block. It may call
// what only appends to the dispatcher's inbox: OpenNow, Break, Sent.
class CallSink {
 public:
  virtual ~CallSink() = default;
  virtual void OnEvent(CallEvent event) = 0;
  // Once, last. Unless `status` is Ok, events not yet delivered may be dropped.
  virtual void OnEnd(absl::Status status) = 0;
};

// Constant for a worker's life.
struct WorkerFacts {
  std::string name, model, fingerprint;
  KvPeer kv;
  KvLayout layout;
  int64_t max_context = 0;
  uint32_t ranks = 0;
  bool accepts_inexact = false;  // KV of other fingerprints is given and taken
  std::string model_id;          // but never of another of these
};

struct WorkerStatus {
  WorkerRole role = WorkerRole::kDecode;
  DrainState drain;
  absl::Status health;
  std::vector<EngineLoad> ranks;
  WorkerCounters counters;
  HandoffNode::Stats handoff;
  std::vector<WireLink> kv_links;  // to the owners read from
  size_t open_calls = 0;
  size_t jobs = 0;
  size_t records = 0, record_bytes = 0;  // of streams, for who takes them up again
};

class Worker {
 public:
  // Starts engines, handoff and dispatcher. InvalidArgument unless all runners have one layout and
  // fingerprint. `clock` outlives the worker.
  static absl::StatusOr<std::unique_ptr<Worker>> Start(const WorkerOptions& options,
                                                       std::vector<std::unique_ptr<ModelRunner>> runners,
                                                       std::unique_ptr<Transport> wire, const Clock* clock);
  ~Worker();  // ends the calls that are open as UNAVAILABLE
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // All below are thread-safe and none blocks.

  // For Open, so that a sink knows its call before the first event. Never the same twice.
  CallId NewCall();
  // The sink gets exactly one OnEnd.
  void Open(CallId id, WorkerCall call, std::shared_ptr<CallSink> sink);
  void Break(CallId call);
  // Before the first call: from then on `prefill` sees every Prefill instead, and hands it to OpenNow when it
  // has prepared it; `broken` hears of every Break too.
  struct Detour {
    std::function<void(CallId, PrefillCall, std::shared_ptr<CallSink>)> prefill;
    std::function<void(CallId)> broken;
  };
  void SetDetour(Detour detour);
  // Open, without the detour.
  void OpenNow(CallId id, WorkerCall call, std::shared_ptr<CallSink> sink);
  void Sent(CallId call, int64_t events);

  // Stops admission. `done` is called once, on the dispatcher's thread, when no call is open any more.
  void Drain(absl::Duration grace, std::function<void(const DrainState&)> done);
  void SetRole(WorkerRole role);

  const WorkerFacts& facts() const;
  // What readers know its KV by: facts().kv.curve_public_key, or what took its place when the key was
  // rotated.
  const std::string& kv_public_key() const;
  MonoTime Now() const;
  // As of the dispatcher's last round; the loads as of each engine's last step.
  WorkerStatus Status() const;
  // The blocks of a rank's prefix cache. Lives as long as the worker.
  const BlockJournal& blocks(uint32_t rank) const;
  // Not Ok: an engine is wedged or found an integrity violation, or the handoff is wedged or could not
  // fence a read.
  absl::Status Health() const;

 private:
  struct Impl;
  explicit Worker(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
