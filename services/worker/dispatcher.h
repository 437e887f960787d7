#pragma once

// The thread that owns a WorkerCore: takes what others append to its inbox, feeds the core, and carries its
// actions out.

#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "common/mutex.h"
#include "services/worker/worker.h"

namespace baton {

// Where actions go. Called on the dispatcher's thread; must not block.
struct DispatcherPorts {
  // Of a command refused (Serve, Prefill, Reserve, Fetch, Share only) the core hears as a FailedEvent.
  std::function<absl::Status(uint32_t rank, EngineCommand)> engine;
  // A command refused is offered again, in order, at the next round.
  std::function<absl::Status(const HandoffCommand&)> handoff;
};

class Dispatcher {
 public:
  struct Arrived {
    CallId id;
    WorkerCall call;
    std::shared_ptr<CallSink> sink;
  };
  struct Broken {
    CallId id;
  };
  struct Taken {
    CallId id;
    int64_t events;
  };
  struct FromEngine {
    uint32_t rank;
    EngineEvent event;
    std::vector<uint64_t> checksums;
  };
  struct FromHandoff {
    HandoffEvent event;
  };
  struct DrainWish {
    absl::Duration grace;
    std::function<void(const DrainState&)> done;
  };
  struct RoleWish {
    WorkerRole role;
  };
  using Input = std::variant<Arrived, Broken, Taken, FromEngine, FromHandoff, DrainWish, RoleWish>;

  // What others may see of the core.
  struct View {
    WorkerRole role = WorkerRole::kDecode;
    DrainState drain;
    WorkerCounters counters;
    size_t open_calls = 0, jobs = 0;
    size_t records = 0, record_bytes = 0;
    MonoTime last_round;
    absl::Status integrity;
  };

  Dispatcher(const WorkerCoreOptions& options, absl::Duration tick, const Clock* clock);
  ~Dispatcher() { Stop(); }

  void Start(DispatcherPorts ports);
  // Ends every open call as UNAVAILABLE and joins the thread; the ports are called no more.
  void Stop();

  // Thread-safe, never blocks. After Stop, new calls end at once as UNAVAILABLE and the rest is dropped.
  void Post(Input input);
  View view() const;

 private:
  void Run();
  std::vector<Input> Take(bool* stopping);
  void Feed(Arrived& in, MonoTime now);
  void Begin(CallId id, DecodeCall call, MonoTime now) { core_.OnDecode(id, std::move(call), now); }
  void Begin(CallId id, PrefillCall call, MonoTime now) { core_.OnPrefill(id, std::move(call), now); }
  void Begin(CallId id, ShareCall call, MonoTime now) { core_.OnShare(id, std::move(call), now); }
  void Begin(CallId id, FetchCall call, MonoTime now) { core_.OnFetch(id, std::move(call), now); }
  void Begin(CallId id, const ResumeCall& call, MonoTime now) { core_.OnResume(id, call, now); }
  void Begin(CallId id, const RecordCall& call, MonoTime now) { core_.OnRecord(id, call, now); }
  void Begin(CallId id, KeepCall call, MonoTime now) { core_.OnKeep(id, std::move(call), now); }
  void Begin(CallId id, const StopCall& call, MonoTime now) { core_.OnStop(id, call, now); }
  void Feed(Broken& in, MonoTime now) { core_.OnCallBroken(in.id, now); }
  void Feed(Taken& in, MonoTime) { core_.OnSent(in.id, in.events); }
  void Feed(FromEngine& in, MonoTime now);
  void Feed(FromHandoff& in, MonoTime now) { core_.OnHandoffEvent(std::move(in.event), now); }
  void Feed(DrainWish& in, MonoTime now);
  void Feed(RoleWish& in, MonoTime) { core_.OnRole(in.role); }
  void CarryOut(MonoTime now);
  void Do(SendEngine& action, MonoTime now);
  void Do(SendHandoff& action, MonoTime now);
  void Do(EmitEvent& action, MonoTime now);
  void Do(EndCall& action, MonoTime now);
  void OfferHandoffBacklog();
  void Publish(MonoTime now);

  const Clock* const clock_;
  const absl::Duration tick_;

  // Of the dispatcher's thread.
  WorkerCore core_;
  DispatcherPorts ports_;
  absl::flat_hash_map<CallId, std::shared_ptr<CallSink>> sinks_;
  std::deque<HandoffCommand> handoff_backlog_;
  std::vector<std::function<void(const DrainState&)>> drain_waiters_;
  MonoTime next_tick_;

  mutable Mutex mutex_;
  std::vector<Input> inbox_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  View view_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace baton
