#include "services/worker/dispatcher.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace baton {

Dispatcher::Dispatcher(const WorkerCoreOptions& options, absl::Duration tick, const Clock* clock)
    : clock_(clock), tick_(tick), core_(options), next_tick_(clock->Now()) {
  Publish(next_tick_);
}

void Dispatcher::Start(DispatcherPorts ports) {
  ports_ = std::move(ports);
  thread_ = std::thread([this] { Run(); });
}

void Dispatcher::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    if (!thread_.joinable()) stopped_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void Dispatcher::Post(Input input) {
  {
    MutexLock lock(&mutex_);
    if (!stopped_) {
      inbox_.push_back(std::move(input));
      return;
    }
  }
  const absl::Status gone = absl::UnavailableError("the worker is shutting down");
  if (auto* arrived = std::get_if<Arrived>(&input)) arrived->sink->OnEnd(gone);
  if (auto* drain = std::get_if<DrainWish>(&input)) drain->done(view().drain);
}

Dispatcher::View Dispatcher::view() const {
  MutexLock lock(&mutex_);
  return view_;
}

std::vector<Dispatcher::Input> Dispatcher::Take(bool* stopping) {
  MutexLock lock(&mutex_);
  const auto ready = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return stopping_ || !inbox_.empty(); };
  mutex_.Await(ready, tick_);
  *stopping = stopping_;
  stopped_ = stopping_;
  return std::exchange(inbox_, {});
}

void Dispatcher::Run() {
  bool stopping = false;
  while (!stopping) {
    std::vector<Input> inputs = Take(&stopping);
    const MonoTime now = clock_->Now();
    for (Input& input : inputs) {
      std::visit([&](auto& in) { Feed(in, now); }, input);
    }
    if (stopping) core_.OnDrainDeadline(now);
    if (now >= next_tick_) {
      core_.OnTick(now);
      next_tick_ = now + tick_;
    }
    OfferHandoffBacklog();
    CarryOut(now);
    Publish(now);
    if (core_.drain().draining && core_.open_calls() == 0) {
      for (const auto& done : std::exchange(drain_waiters_, {})) done(core_.drain());
    }
  }
}

void Dispatcher::Feed(Arrived& in, MonoTime now) {
  sinks_.emplace(in.id, std::move(in.sink));
  std::visit([&](auto& call) { Begin(in.id, std::move(call), now); }, in.call);
}

void Dispatcher::Feed(FromEngine& in, MonoTime now) {
  core_.OnEngineEvent(in.rank, std::move(in.event), std::move(in.checksums), now);
}

void Dispatcher::Feed(DrainWish& in, MonoTime now) {
  core_.OnDrain(now + in.grace);
  drain_waiters_.push_back(std::move(in.done));
}

void Dispatcher::CarryOut(MonoTime now) {
  // A refused command feeds the core again, which answers with actions of its own.
  for (std::vector<WorkerAction> actions = core_.TakeActions(); !actions.empty();
       actions = core_.TakeActions()) {
    for (WorkerAction& action : actions) {
      std::visit([&](auto& a) { Do(a, now); }, action);
    }
  }
}

void Dispatcher::Do(SendEngine& action, MonoTime now) {
  const SeqId id = std::visit([](const auto& command) { return command.id; }, action.command);
  absl::Status status = ports_.engine(action.rank, std::move(action.command));
  if (!status.ok()) core_.OnEngineEvent(action.rank, FailedEvent{id, std::move(status)}, {}, now);
}

void Dispatcher::Do(SendHandoff& action, MonoTime) {
  handoff_backlog_.push_back(std::move(action.command));
  OfferHandoffBacklog();
}

void Dispatcher::OfferHandoffBacklog() {
  while (!handoff_backlog_.empty() && ports_.handoff(handoff_backlog_.front()).ok())
    handoff_backlog_.pop_front();
}

void Dispatcher::Do(EmitEvent& action, MonoTime) {
  if (const auto it = sinks_.find(action.call); it != sinks_.end())
    it->second->OnEvent(std::move(action.event));
}

void Dispatcher::Do(EndCall& action, MonoTime) {
  auto node = sinks_.extract(action.call);
  if (!node.empty()) node.mapped()->OnEnd(std::move(action.status));
}

void Dispatcher::Publish(MonoTime now) {
  absl::Status integrity = core_.open_calls() == 0 ? core_.CheckIntegrity() : absl::OkStatus();
  MutexLock lock(&mutex_);
  if (view_.integrity.ok() && !integrity.ok()) {
    spdlog::error("worker tables: {}", std::string(integrity.message()));
    view_.integrity = std::move(integrity);
  }
  view_.role = core_.role();
  view_.drain = core_.drain();
  view_.counters = core_.counters();
  view_.open_calls = core_.open_calls();
  view_.jobs = core_.jobs();
  view_.records = core_.records().size();
  view_.record_bytes = core_.records().bytes();
  view_.last_round = now;
}

}  // namespace baton
