#include "tools/sim/simulation.h"

#include <algorithm>

#include "common/status_macros.h"
#include "tools/sim/simulation_state.h"

namespace baton::simulator {
namespace {

using router::WorkerRole;

constexpr double kReportS = 0.1;  // the worker's watch interval
constexpr double kGiveUpS = 3600;

}  // namespace

Simulation::Simulation(const RunOptions& options, absl::Span<const Request> requests, uint32_t page_tokens,
                       SimRouter router)
    : options_(options),
      requests_(requests),
      page_tokens_(page_tokens),
      router_(std::move(router)),
      streams_(requests.size()),
      open_(static_cast<uint32_t>(requests.size())) {
  const ClusterOptions& cluster = options.cluster;
  ranks_.reserve(cluster.prefill + cluster.decode);
  AddRanks(WorkerRole::kPrefill, cluster.prefill, cluster.curve.prefill_step_tokens);
  AddRanks(WorkerRole::kDecode, cluster.decode, cluster.curve.decode_step_tokens);
  link_out_s_.resize(ranks_.size());
  link_in_s_.resize(ranks_.size());
  reported_.resize(first_rank_.size());
  first_counted_ = static_cast<uint32_t>(double(requests.size()) * options.warmup_share);
  for (uint32_t i = 0; i < requests.size(); ++i) Push(requests[i].at_s, Kind::kArrival, i);
  for (uint32_t i = 0; i < first_rank_.size(); ++i)  // not all at once
    Push(kReportS * (i + 1) / double(first_rank_.size()), Kind::kReport, i);
}

void Simulation::AddRanks(WorkerRole role, uint32_t count, double step_tokens) {
  for (uint32_t done = 0; done < count;) {
    const uint32_t here = std::min(count - done, options_.cluster.ranks_per_worker);
    first_rank_.push_back(static_cast<uint32_t>(ranks_.size()));
    rank_count_.push_back(here);
    for (uint32_t i = 0; i < here; ++i)
      ranks_.emplace_back(options_.cluster.curve, step_tokens, page_tokens_);
    router_.AddWorker({role, here, page_tokens_, ranks_.back().pool().total()}, Now());
    done += here;
  }
}

void Simulation::Push(double at, Kind kind, uint32_t which) {
  events_.push({at, order_++, kind, which});
}

RunResult Simulation::Run() {
  const double most_s = (requests_.empty() ? 0 : requests_.back().at_s) + kGiveUpS;
  while (open_ > 0 && !events_.empty() && events_.top().at < most_s) {
    const Event event = events_.top();
    events_.pop();
    now_s_ = event.at;
    Handle(event);
  }
  Summarise();
  return std::move(result_);
}

void Simulation::Handle(const Event& event) {
  switch (event.kind) {
    case Kind::kArrival:
      return Arrive(event.which);
    case Kind::kPlace:
      return Place(event.which);
    case Kind::kStepEnd:
      return StepEnd(event.which);
    case Kind::kKvArrived:
      return KvArrived(event.which);
    case Kind::kReport:
      return Report(event.which);
    case Kind::kAdmission:
      return CheckAdmission();
  }
}

void Simulation::Kick(uint32_t rank) {
  if (ranks_[rank].stepping()) return;
  if (const double seconds = ranks_[rank].BeginStep(); seconds > 0)
    Push(now_s_ + seconds, Kind::kStepEnd, rank);
}

void Simulation::StepEnd(uint32_t rank) {
  const StepResult step = ranks_[rank].EndStep();
  for (const StepResult::Chunk& chunk : step.chunks) Chunk(rank, chunk);
  for (const uint32_t request : step.tokens) Token(request);
  for (const uint32_t request : step.finished) Finish(request);
  Kick(rank);
}

void Simulation::Report(uint32_t worker) {
  std::vector<router::RankReport> reports;
  for (uint32_t i = 0; i < rank_count_[worker]; ++i) {
    SimRank& rank = ranks_[first_rank_[worker] + i];
    const CachePool& pool = rank.pool();
    reports.push_back({.rank = i,
                       .running = rank.running(),
                       .waiting = rank.waiting(),
                       .backlog_tokens = rank.backlog_tokens(),
                       .pages = {.free = pool.free(), .used = pool.used(), .cached = pool.cached()},
                       .context_tokens = rank.context_tokens()});
    router_.Changed(worker + 1, i, rank.pool().TakeChange());
  }
  router_.Report(worker + 1, std::move(reports), Now());
  Push(now_s_ + kReportS, Kind::kReport, worker);
}

void Simulation::Summarise() {
  const auto busy = [&](uint32_t from, uint32_t to, double* share, double* balance) {
    double sum = 0, most = 0;
    for (uint32_t i = from; i < to; ++i) {
      sum += ranks_[i].busy_s();
      most = std::max(most, ranks_[i].busy_s());
    }
    const double mean = sum / std::max(1u, to - from);
    *share = now_s_ > 0 ? mean / now_s_ : 0;
    *balance = most > 0 ? mean / most : 1;
  };
  const uint32_t prefill = options_.cluster.prefill, all = static_cast<uint32_t>(ranks_.size());
  busy(0, prefill, &result_.prefill_busy, &result_.prefill_balance);
  busy(prefill, all, &result_.decode_busy, &result_.decode_balance);
  for (const SimRank& rank : ranks_) result_.preempted += static_cast<int64_t>(rank.preempted());
  result_.policy = router_.Describe();
  if (first_counted_ < requests_.size())
    result_.span_s = requests_.back().at_s - requests_[first_counted_].at_s;
  for (uint32_t i = 0; i < streams_.size(); ++i) {
    const Stream& stream = streams_[i];
    Outcome outcome;
    if (stream.first_s >= 0 && stream.tokens >= stream.answer) {
      outcome.ttft_s = stream.first_s - stream.arrived_s;
      outcome.itl_s = stream.tokens > 1 ? (stream.last_s - stream.first_s) / (stream.tokens - 1) : 0;
    }
    result_.outcomes.push_back(outcome);
    if (!Counts(i)) continue;
    ++result_.requests;
    result_.rejected += outcome.ttft_s < 0;
    result_.good += outcome.ttft_s >= 0 && outcome.ttft_s <= options_.cluster.ttft_slo_s &&
                    outcome.itl_s <= options_.cluster.itl_slo_s;
  }
}

absl::StatusOr<RunResult> Simulate(const RunOptions& options, absl::Span<const Request> requests,
                                   uint32_t page_tokens) {
  if (options.cluster.prefill == 0 || options.cluster.decode == 0 || options.cluster.ranks_per_worker == 0)
    return absl::InvalidArgumentError("a cluster has a prefill rank and a decode rank at least");
  RouterOptions router_options{
      .policy = options.policy, .seed = options.seed, .admission = options.admission};
  router_options.limits.max_inflight = 1u << 20;
  router_options.limits.max_inflight_tokens = uint64_t{1} << 40;
  router_options.limits.ttft_slo = absl::Seconds(options.cluster.ttft_slo_s);
  router_options.limits.itl_slo = absl::Seconds(options.cluster.itl_slo_s);
  BATON_ASSIGN_OR_RETURN(SimRouter router, SimRouter::Make(router_options));
  return Simulation(options, requests, page_tokens, std::move(router)).Run();
}

}  // namespace baton::simulator
