#pragma once

// A worker's node: an address at which one process after the other lives. Each life has an epoch, an engine,
// a handoff and a WorkerCore of its own, as services/worker puts them together around gRPC.

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "services/router/policy/worker_table.h"
#include "services/worker/worker_core.h"
#include "tests/sim/context.h"
#include "tests/sim/sim_engine.h"
#include "tests/sim/sim_handoff.h"

namespace baton::sim {

class SimWorker {
 public:
  // What a call's client hears, at the client.
  using OnCallEvent = std::function<void(const CallEvent&, const Epoch& epoch)>;
  using OnReport = std::function<void(const router::WorkerReport&)>;

  SimWorker(const Context& context, NodeId node, WorkerRole role, VerdictBook* book);
  ~SimWorker();

  NodeId node() const { return node_; }
  const std::string& name() const { return name_; }
  bool alive() const { return life_ != nullptr; }
  Epoch epoch() const;

  void Start();    // a new life
  void Crash();    // and the network learns of it
  void Restart();  // by its own decision: crash, and start soon after
  void Drain(absl::Duration grace);
  void SetRole(WorkerRole role);

  // The server's side of a call. The caller makes it with Calls::Open.
  void ServeDecode(Calls::Id id, DecodeCall call, absl::Duration timeout, OnCallEvent on_event);
  void ServePrefill(Calls::Id id, PrefillCall call, absl::Duration timeout, OnCallEvent on_event);
  void ServeShare(Calls::Id id, ShareCall call, absl::Duration timeout, OnCallEvent on_event);
  void ServeFetch(Calls::Id id, FetchCall call, absl::Duration timeout, OnCallEvent on_event);
  void ServeWatch(Calls::Id id, OnReport on_report);
  void OnBroken(Calls::Id id);
  void OnSent(Calls::Id id, int64_t n);

  std::string WhyNotAtBaseline() const;
  // Counters of all lives.
  struct Totals {
    uint64_t pulled_held = 0, pulled_lost = 0, preemptions = 0, prefix_hits = 0;
  };
  Totals totals() const;
  void ReportTransitions();

 private:
  struct Life;
  void BeginMove(Calls::Id id, PrefixMove* move, absl::Duration timeout, OnCallEvent on_event,
                 const char* kind);
  void Flush();
  void Act(WorkerAction action);
  void Emit(const EmitEvent& emit);
  StreamId AsSeen(StreamId stream, Attempt attempt) const;
  void Tick();
  void ReportLoad();
  MonoTime Now() const { return context_.queue->NodeNow(node_); }
  WorkerCoreOptions CoreOptions() const;
  void AddTotals(Totals* totals) const;

  const Context& context_;
  const NodeId node_;
  const std::string name_;
  WorkerRole role_;
  VerdictBook* const book_;
  bool restarting_ = false;
  Totals past_;
  std::unique_ptr<Life> life_;
};

}  // namespace baton::sim
