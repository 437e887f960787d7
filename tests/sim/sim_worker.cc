#include "tests/sim/sim_worker.h"

#include <algorithm>
#include <utility>

namespace baton::sim {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(50);
constexpr absl::Duration kReport = absl::Milliseconds(100);
constexpr const char* kCallEventNames[] = {"accepted",      "token",  "finished", "first token",
                                           "handoff ended", "shared", "fetched"};

}  // namespace

struct SimWorker::Life {
  struct OpenCall {
    StreamId stream;
    Attempt attempt;
    OnCallEvent on_event;
    const char* kind;
  };
  struct Watcher {
    OnReport on_report;
    uint64_t next_number = 0;
  };

  Life(const Context& context, NodeId node, const std::string& name, Epoch epoch,
       const EngineOptions& engine_options, int64_t pages, const WorkerCoreOptions& core_options,
       VerdictBook* book, SimWorker* worker)
      : epoch(epoch),
        core(core_options),
        engine(context, node, name + ".e", engine_options, pages,
               [worker](EngineEvent event, std::vector<uint64_t> checksums) {
                 worker->life_->core.OnEngineEvent(0, std::move(event), std::move(checksums), worker->Now());
                 worker->Flush();
               }),
        handoff(
            context, node, name, epoch, &engine, book,
            [worker](HandoffEvent event) {
              worker->life_->core.OnHandoffEvent(std::move(event), worker->Now());
              worker->Flush();
            },
            [worker] { worker->Restart(); }) {}

  const Epoch epoch;
  WorkerCore core;
  SimEngine engine;
  SimHandoff handoff;
  std::map<Calls::Id, OpenCall> calls;
  std::map<Calls::Id, Watcher> watchers;
  std::map<StreamId, Attempt> highest;  // seen, of each stream
  std::set<SeqId> fetches;
};

SimWorker::SimWorker(const Context& context, NodeId node, WorkerRole role, VerdictBook* book)
    : context_(context),
      node_(node),
      name_(absl::StrCat(role == WorkerRole::kPrefill ? "P" : "D", node)),
      role_(role),
      book_(book) {}

SimWorker::~SimWorker() = default;

WorkerCoreOptions SimWorker::CoreOptions() const {
  WorkerCoreOptions options;
  options.role = role_;
  options.max_context = context_.options->runner.max_context;
  options.vocab_size = context_.options->runner.vocab;
  options.max_calls = 64;
  options.emission_buffer = context_.options->emission_buffer;
  options.max_call_time = absl::Seconds(40);
  options.pull_timeout = absl::Seconds(4);
  options.attempts.retention = absl::Seconds(30);
  return options;
}

Epoch SimWorker::epoch() const {
  return life_ == nullptr ? Epoch{} : life_->epoch;
}

void SimWorker::Start() {
  const bool prefill = context_.options->topology.is_prefill(node_);
  const WorldOptions& options = *context_.options;
  restarting_ = false;
  life_ = std::make_unique<Life>(context_, node_, name_, context_.network->prng()->Id(),
                                 prefill ? options.prefill_engine : options.decode_engine,
                                 prefill ? options.prefill_pages : options.decode_pages, CoreOptions(), book_,
                                 this);
  context_.Note(name_, "starts", life_->epoch.hi % 10000);
  context_.queue->After(node_, kTick, [this] { Tick(); });
  context_.queue->After(node_, kReport, [this] { ReportLoad(); });
}

void SimWorker::Crash() {
  if (life_ == nullptr) return;
  context_.Note(name_, "crashes");
  ReportTransitions();
  AddTotals(&past_);
  context_.queue->Kill(node_);
  life_.reset();
  context_.calls->OnNodeDied(node_);
}

void SimWorker::Restart() {
  if (std::exchange(restarting_, true)) return;
  context_.queue->After(node_, absl::Milliseconds(1), [this] {
    Crash();
    context_.queue->After(kWorld, absl::Milliseconds(200), [this] {
      context_.queue->Revive(node_);
      Start();
    });
  });
}

void SimWorker::Drain(absl::Duration grace) {
  if (life_ == nullptr) return;
  life_->core.OnDrain(Now() + grace);
  Flush();
}

void SimWorker::SetRole(WorkerRole role) {
  role_ = role;
  if (life_ != nullptr) life_->core.OnRole(role);
}

void SimWorker::ServeDecode(Calls::Id id, DecodeCall call, absl::Duration timeout, OnCallEvent on_event) {
  if (timeout < absl::InfiniteDuration()) call.spec.deadline = Now() + timeout;
  Attempt& highest = life_->highest[call.stream];
  highest = std::max(highest, call.attempt);
  life_->calls[id] = {call.stream, call.attempt, std::move(on_event), "decode"};
  call.stream = AsSeen(call.stream, call.attempt);
  life_->core.OnDecode(id, std::move(call), Now());
  Flush();
}

void SimWorker::ServePrefill(Calls::Id id, PrefillCall call, absl::Duration timeout, OnCallEvent on_event) {
  if (timeout < absl::InfiniteDuration()) call.spec.deadline = Now() + timeout;
  Attempt& highest = life_->highest[call.stream];
  highest = std::max(highest, call.attempt);
  life_->calls[id] = {call.stream, call.attempt, std::move(on_event), "prefill"};
  call.stream = AsSeen(call.stream, call.attempt);
  life_->core.OnPrefill(id, std::move(call), Now());
  Flush();
}

void SimWorker::BeginMove(Calls::Id id, PrefixMove* move, absl::Duration timeout, OnCallEvent on_event,
                          const char* kind) {
  if (timeout < absl::InfiniteDuration()) move->deadline = Now() + timeout;
  Attempt& highest = life_->highest[move->id];
  highest = std::max(highest, move->attempt);
  life_->calls[id] = {move->id, move->attempt, std::move(on_event), kind};
}

void SimWorker::ServeShare(Calls::Id id, ShareCall call, absl::Duration timeout, OnCallEvent on_event) {
  BeginMove(id, &call.move, timeout, std::move(on_event), "share");
  life_->core.OnShare(id, std::move(call), Now());
  Flush();
}

void SimWorker::ServeFetch(Calls::Id id, FetchCall call, absl::Duration timeout, OnCallEvent on_event) {
  BeginMove(id, &call.move, timeout, std::move(on_event), "fetch");
  life_->core.OnFetch(id, std::move(call), Now());
  Flush();
}

StreamId SimWorker::AsSeen(StreamId stream, Attempt attempt) const {
  if (context_.Mutated(Mutation::kServeSuperseded)) stream.lo += attempt.claim * 1000003u + attempt.n;
  return stream;
}

void SimWorker::ServeWatch(Calls::Id id, OnReport on_report) {
  life_->watchers[id] = {std::move(on_report)};
}

void SimWorker::OnBroken(Calls::Id id) {
  life_->watchers.erase(id);
  life_->core.OnCallBroken(id, Now());
  Flush();
}

void SimWorker::OnSent(Calls::Id id, int64_t n) {
  life_->core.OnSent(id, n);
}

void SimWorker::Flush() {
  for (WorkerAction& action : life_->core.TakeActions()) Act(std::move(action));
  const absl::Status integrity = life_->core.CheckIntegrity();
  context_.checker->Require(integrity.ok(), name_, ": worker core: ", std::string(integrity.message()));
}

void SimWorker::Act(WorkerAction action) {
  if (auto* engine = std::get_if<SendEngine>(&action)) {
    if (context_.Mutated(Mutation::kForgetRelease) && std::holds_alternative<ReleaseCommand>(engine->command))
      return;
    if (const auto* fetch = std::get_if<FetchCommand>(&engine->command)) life_->fetches.insert(fetch->id);
    const auto* cancel = std::get_if<CancelCommand>(&engine->command);
    if (context_.Mutated(Mutation::kPublishLost) && cancel != nullptr && life_->fetches.contains(cancel->id))
      engine->command = PublishCommand{cancel->id};
    return life_->engine.Submit(std::move(engine->command));
  }
  if (auto* handoff = std::get_if<SendHandoff>(&action))
    return life_->handoff.Submit(std::move(handoff->command));
  if (const auto* emit = std::get_if<EmitEvent>(&action)) return Emit(*emit);
  const EndCall& end = std::get<EndCall>(action);
  const auto it = life_->calls.find(end.call);
  context_.checker->Require(it != life_->calls.end(), name_, ": a call ended twice or was never begun");
  if (it == life_->calls.end()) return;
  context_.coverage->Hit(
      absl::StrCat("worker/", it->second.kind, " ends/", absl::StatusCodeToString(end.status.code())));
  context_.Note(name_, "ends call", end.call, " ", end.status.message());
  life_->calls.erase(it);
  context_.calls->End(end.call, end.status);
}

void SimWorker::Emit(const EmitEvent& emit) {
  const auto it = life_->calls.find(emit.call);
  context_.checker->Require(it != life_->calls.end(), name_, ": an event of a call that is over");
  if (it == life_->calls.end()) return;
  const auto& [stream, attempt, on_event, kind] = it->second;
  context_.checker->Require(attempt == life_->highest[stream], name_, ": emits on attempt ", attempt.claim,
                            ".", attempt.n, " after a higher one was seen");
  context_.coverage->Hit(absl::StrCat("worker/emits/", kCallEventNames[emit.event.index()]));
  if (context_.Mutated(Mutation::kLoseToken) && context_.network->prng()->Chance(5)) return;
  CallEvent event = emit.event;
  auto* token = std::get_if<GeneratedToken>(&event);
  if (token != nullptr && context_.Mutated(Mutation::kRepeatPosition) &&
      context_.network->prng()->Chance(5)) {
    GeneratedToken again = *token;
    ++again.position;
    context_.calls->Emit(emit.call,
                         [on_event = on_event, again, epoch = life_->epoch] { on_event(again, epoch); });
  }
  context_.calls->Emit(emit.call, [on_event = on_event, event = std::move(event), epoch = life_->epoch] {
    on_event(event, epoch);
  });
}

void SimWorker::Tick() {
  life_->core.OnTick(Now());
  Flush();
  context_.queue->After(node_, kTick, [this] { Tick(); });
}

void SimWorker::ReportLoad() {
  context_.queue->After(node_, kReport, [this] { ReportLoad(); });
  if (life_->watchers.empty()) return;
  const EngineLoad load = life_->engine.Load();
  router::WorkerReport report;
  report.epoch = life_->epoch;
  report.role = role_ == WorkerRole::kPrefill ? router::WorkerRole::kPrefill : router::WorkerRole::kDecode;
  report.draining = life_->core.drain().draining;
  report.ranks.push_back(
      {0,
       static_cast<uint64_t>(load.running),
       static_cast<uint64_t>(load.waiting),
       static_cast<uint64_t>(load.backlog_tokens),
       {static_cast<uint64_t>(load.pages.free), static_cast<uint64_t>(load.pages.used),
        static_cast<uint64_t>(load.pages.cached), static_cast<uint64_t>(load.pages.pinned),
        static_cast<uint64_t>(load.pages.pulling), static_cast<uint64_t>(load.pages.quarantined)}});
  for (auto& [id, watcher] : life_->watchers) {
    report.number = watcher.next_number++;
    if (report.number == 0) {
      report.facts = {name_,
                      "fake",
                      life_->engine.runner()->fingerprint(),
                      {life_->handoff.endpoint(), "", life_->epoch},
                      static_cast<uint32_t>(life_->engine.runner()->kv_layout().PageTokens()),
                      static_cast<uint64_t>(context_.options->runner.max_context)};
    }
    context_.calls->Emit(id, [on_report = watcher.on_report, report] { on_report(report); });
  }
}

std::string SimWorker::WhyNotAtBaseline() const {
  if (life_ == nullptr) return "";
  if (!life_->calls.empty()) return absl::StrCat(name_, ": ", life_->calls.size(), " calls were never ended");
  if (life_->core.open_calls() + life_->core.jobs() != 0) {
    return absl::StrCat(name_, ": ", life_->core.open_calls(), " calls and ", life_->core.jobs(),
                        " jobs are left");
  }
  if (std::string why = life_->handoff.WhyNotAtBaseline(); !why.empty()) return why;
  return life_->engine.WhyNotAtBaseline();
}

void SimWorker::AddTotals(Totals* totals) const {
  if (life_ == nullptr) return;
  const EngineLoad load = life_->engine.Load();
  totals->pulled_held += life_->core.counters().pulled_held;
  totals->pulled_lost += life_->core.counters().pulled_lost;
  totals->preemptions += load.preemptions;
  totals->prefix_hits += load.prefix_hits;
}

SimWorker::Totals SimWorker::totals() const {
  Totals totals = past_;
  AddTotals(&totals);
  return totals;
}

void SimWorker::ReportTransitions() {
  if (life_ == nullptr) return;
  life_->handoff.ReportTransitions();
  const WorkerCounters& counters = life_->core.counters();
  context_.coverage->Hit("worker/refused", counters.refused);
  context_.coverage->Hit("worker/superseded", counters.superseded);
  context_.coverage->Hit("worker/reader too slow", counters.too_slow);
  context_.coverage->Hit("worker/call broken", counters.broken);
  context_.coverage->Hit("worker/out of time", counters.out_of_time);
}

}  // namespace baton::sim
