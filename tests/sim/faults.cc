#include "tests/sim/faults.h"

#include <algorithm>
#include <utility>

namespace baton::sim {

Faults::Faults(const Context& context, Prng prng, std::vector<std::unique_ptr<SimWorker>>* workers,
               std::vector<std::unique_ptr<SimRouter>>* routers, std::function<void(int)> on_router_paused)
    : context_(context),
      prng_(prng),
      workers_(workers),
      routers_(routers),
      on_router_paused_(std::move(on_router_paused)) {}

void Faults::Schedule() {
  const FaultPlan& plan = context_.options->faults;
  context_.network->SetFaults(plan.links);
  context_.hub->busy_per_mille = plan.busy_per_mille;
  context_.hub->slow_fence_per_mille = plan.slow_fence_per_mille;
  context_.hub->slow_fence = plan.slow_fence;
  Sometime(plan.crashes, &Faults::CrashWorker);
  Sometime(plan.deaths, &Faults::KillWorker);
  Sometime(plan.pauses, &Faults::PauseWorker);
  Sometime(plan.partitions, &Faults::Partition);
  Sometime(plan.call_breaks, &Faults::BreakCall);
  Sometime(plan.router_faults, &Faults::DisturbRouter);
  Sometime(plan.drains, &Faults::DrainWorker);
  Sometime(plan.role_flips, &Faults::FlipRole);
  Sometime(plan.moves, &Faults::MoveStream);
  context_.queue->After(kWorld, plan.calm ? absl::ZeroDuration() : plan.active, [this] { Heal(); });
}

void Faults::Sometime(int times, void (Faults::*fault)()) {
  // Most faults fall where the work is: soon after the requests begin to arrive.
  const absl::Duration until =
      std::min(context_.options->faults.active, context_.options->arrivals + absl::Milliseconds(200));
  for (int i = 0; i < times; ++i) {
    context_.queue->After(kWorld, prng_.Between(absl::ZeroDuration(), until),
                          [this, fault] { (this->*fault)(); });
  }
}

void Faults::Note(const char* fault, const std::string& whom) {
  context_.coverage->Hit(absl::StrCat("fault/", fault));
  context_.Note("fault", fault, whom);
}

SimWorker* Faults::AnyWorker() {
  return (*workers_)[prng_.Below(workers_->size())].get();
}

void Faults::ReviveLater(SimWorker* worker, absl::Duration after) {
  context_.queue->After(kWorld, after, [this, worker] {
    if (worker->alive()) return;
    context_.queue->Revive(worker->node());
    worker->Start();
  });
}

void Faults::CrashWorker() {
  SimWorker* worker = AnyWorker();
  if (!worker->alive()) return;
  Note("crash and restart", worker->name());
  worker->Crash();
  ReviveLater(worker, prng_.Between(absl::Milliseconds(5), absl::Seconds(2)));
}

void Faults::KillWorker() {
  SimWorker* worker = AnyWorker();
  if (!worker->alive()) return;
  Note("crash for good", worker->name());
  worker->Crash();
}

void Faults::PauseWorker() {
  SimWorker* worker = AnyWorker();
  if (!worker->alive()) return;
  const absl::Duration duration = prng_.Chance(400) ? prng_.Between(absl::Seconds(8), absl::Seconds(14))
                                                    : prng_.Between(absl::Milliseconds(5), absl::Seconds(4));
  Note(duration >= absl::Seconds(8) ? "zombie" : "pause", worker->name());
  context_.queue->Pause(worker->node(), duration);
  context_.calls->OnNodePaused(worker->node(), duration);
}

void Faults::Partition() {
  const Topology& topology = context_.options->topology;
  const NodeId a = topology.worker(static_cast<int>(prng_.Below(topology.workers())));
  NodeId b = static_cast<NodeId>(1 + prng_.Below(topology.nodes() - 1));
  if (a == b) b = topology.router(0);
  const bool both = prng_.Chance(500);
  const absl::Duration duration = prng_.Chance(400) ? prng_.Between(absl::Seconds(8), absl::Seconds(12))
                                                    : prng_.Between(absl::Milliseconds(20), absl::Seconds(3));
  Note(both ? "partition" : "one-way partition", absl::StrCat(a, " and ", b));
  const bool forth = both || prng_.Chance(500);
  std::vector<std::pair<NodeId, NodeId>> directions;
  if (forth) directions.emplace_back(a, b);
  if (both || !forth) directions.emplace_back(b, a);
  for (const auto& [from, to] : directions) {
    context_.network->Cut(from, to);
    context_.calls->OnCut(from, to);
  }
  context_.queue->After(kWorld, duration, [this, directions] {
    for (const auto& [from, to] : directions) context_.network->Mend(from, to);
    context_.calls->OnMended();
  });
}

void Faults::BreakCall() {
  const std::vector<Calls::Id> open = context_.calls->open();
  if (open.empty()) return;
  Note("call broken", "");
  context_.calls->Break(open[prng_.Below(open.size())]);
}

void Faults::DisturbRouter() {
  const int index = static_cast<int>(prng_.Below(routers_->size()));
  SimRouter* router = (*routers_)[index].get();
  if (!router->alive()) return;
  const uint64_t kind = prng_.Below(3);
  const std::string name = absl::StrCat("R", router->node());
  if (kind == 0) {
    Note("router crash", name);
    router->Crash();
    context_.queue->After(kWorld, prng_.Between(absl::Milliseconds(5), absl::Seconds(1)), [this, router] {
      context_.queue->Revive(router->node());
      router->Start();
    });
  } else if (kind == 1) {
    const absl::Duration duration = prng_.Between(absl::Milliseconds(50), absl::Seconds(10));
    Note("router pause", name);
    context_.queue->Pause(router->node(), duration);
    context_.calls->OnNodePaused(router->node(), duration);
    if (duration > absl::Seconds(1)) on_router_paused_(index);
  } else {
    Note("router shutdown", name);
    router->ShutDown();
  }
}

void Faults::DrainWorker() {
  SimWorker* worker = AnyWorker();
  if (!worker->alive()) return;
  const absl::Duration grace = prng_.Between(absl::Milliseconds(5), absl::Seconds(2));
  Note("drain", worker->name());
  context_.queue->After(worker->node(), absl::ZeroDuration(), [this, worker, grace] {
    worker->Drain(grace);
    context_.queue->After(worker->node(), grace + absl::Seconds(2), [worker] { worker->Restart(); });
  });
}

void Faults::FlipRole() {
  SimWorker* worker = AnyWorker();
  const WorkerRole own =
      context_.options->topology.is_prefill(worker->node()) ? WorkerRole::kPrefill : WorkerRole::kDecode;
  const WorkerRole other = own == WorkerRole::kPrefill ? WorkerRole::kDecode : WorkerRole::kPrefill;
  Note("role flip", worker->name());
  worker->SetRole(other);
  context_.queue->After(kWorld, absl::Seconds(2), [worker, own] { worker->SetRole(own); });
}

void Faults::MoveStream() {
  SimRouter* router = (*routers_)[prng_.Below(routers_->size())].get();
  const uint64_t which = prng_.Next();
  if (router->alive())
    context_.queue->After(router->node(), absl::ZeroDuration(), [router, which] { router->MoveAny(which); });
}

void Faults::Heal() {
  healed_ = true;
  context_.Note("fault", "all healed");
  context_.network->Heal();
  context_.hub->busy_per_mille = 0;
  context_.hub->slow_fence_per_mille = 0;
  context_.calls->OnMended();
}

}  // namespace baton::sim
