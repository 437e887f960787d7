#include "tools/sim/sim_router.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/keyed_random.h"
#include "common/status_macros.h"
#include "services/router/policy/policies/factory.h"

namespace baton::simulator {
namespace {

constexpr char kFingerprint[] = "simulated";

BlockHash HashOf(CachePool::Block block) {
  const auto bits = Philox4x32({block, 0, 0, 0}, {0x5eed, 0xb10c});
  return {.hi = uint64_t{bits[0]} << 32 | bits[1], .lo = uint64_t{bits[2]} << 32 | bits[3]};
}

std::vector<BlockHash> HashesOf(CachePool::Chain blocks) {
  std::vector<BlockHash> hashes;
  hashes.reserve(blocks.size());
  for (const CachePool::Block block : blocks) hashes.push_back(HashOf(block));
  return hashes;
}

std::string EndpointOf(uint64_t worker) {
  return absl::StrCat("worker-", worker);
}

}  // namespace

SimRouter::SimRouter(const RouterOptions& options, std::unique_ptr<router::Policy> policy)
    : policy_(std::move(policy)), random_(options.seed), table_({}) {
  if (options.admission) admission_.emplace(options.limits);
}

absl::StatusOr<SimRouter> SimRouter::Make(const RouterOptions& options) {
  BATON_ASSIGN_OR_RETURN(std::unique_ptr<router::Policy> policy, router::MakePolicy(options.policy, {}));
  return SimRouter(options, std::move(policy));
}

router::WorkerReport SimRouter::ReportOf(uint64_t worker) const {
  const Known& known = workers_[worker - 1];
  router::WorkerReport report;
  report.epoch = {.hi = worker, .lo = 1};
  report.number = known.reports;
  report.role = known.worker.role;
  report.facts.name = EndpointOf(worker);
  report.facts.fingerprint = kFingerprint;
  report.facts.page_tokens = known.worker.page_tokens;
  report.facts.publishes_blocks = true;
  return report;
}

uint64_t SimRouter::AddWorker(const SimWorker& worker, MonoTime now) {
  workers_.push_back({worker});
  const uint64_t number = workers_.size();
  router::WorkerReport report = ReportOf(number);
  for (uint32_t rank = 0; rank < worker.ranks; ++rank)
    report.ranks.push_back({.rank = rank, .pages = {.free = worker.pages}});
  table_.AddEndpoint(EndpointOf(number));
  table_.Report(EndpointOf(number), report, now).IgnoreError();
  prefixes_.AddWorker(number, {kFingerprint, worker.page_tokens}, true, worker.pages);
  return number;
}

void SimRouter::Report(uint64_t worker, std::vector<router::RankReport> ranks, MonoTime now) {
  ++workers_[worker - 1].reports;
  router::WorkerReport report = ReportOf(worker);
  report.ranks = std::move(ranks);
  table_.Report(EndpointOf(worker), report, now).IgnoreError();
}

void SimRouter::Changed(uint64_t worker, uint32_t rank, const CachePool::Change& change) {
  if (change.stored.empty() && change.evicted.empty()) return;
  prefixes_.Change(worker,
                   {.rank = rank, .stored = HashesOf(change.stored), .evicted = HashesOf(change.evicted)});
}

absl::StatusOr<PlacedRequest> SimRouter::Place(const router::PlacementRequest& request,
                                               CachePool::Chain blocks, MonoTime now) {
  if (membership_ != table_.membership()) {
    refs_.clear();
    for (const router::RankView& rank : table_.Ranks()) refs_.push_back(rank.ref);
    membership_ = table_.membership();
  }
  router::PromptBlocks prompt{.tokens = request.prompt_tokens};
  prompt.chains.push_back({{kFingerprint, workers_.front().worker.page_tokens}, HashesOf(blocks)});
  std::vector<uint32_t> held_tokens;
  std::vector<uint64_t> held_blocks;
  prefixes_.Expire(now);
  prefixes_.Match(prompt, refs_, &held_tokens, &held_blocks);
  const router::PolicyInput input{.stream = ++streams_,
                                  .ranks = table_.Ranks(),
                                  .held_tokens = held_tokens,
                                  .held_blocks = held_blocks,
                                  .request = request,
                                  .now = now};
  BATON_ASSIGN_OR_RETURN(const router::Placement placement, policy_->Place(input, random_));
  policy_->Learn(router::StreamPlaced{streams_, placement, now});
  const uint32_t to_compute =
      request.prompt_tokens - std::min(request.prompt_tokens, placement.reasons.held_tokens);
  table_.Charge(placement.decode, 1, placement.prefill ? 0 : to_compute, request.prompt_tokens);
  prefixes_.Placed(placement.decode, prompt, now);
  if (placement.prefill) {
    table_.Charge(*placement.prefill, 1, to_compute, request.prompt_tokens);
    prefixes_.Placed(*placement.prefill, prompt, now);
  }
  return PlacedRequest{streams_, placement, to_compute};
}

void SimRouter::PromptComputed(PlacedRequest* placed) {
  const router::RankRef computed = placed->placement.prefill.value_or(placed->placement.decode);
  table_.Discharge(computed, 0, std::exchange(placed->to_compute, 0));
}

void SimRouter::HandedOff(PlacedRequest* placed) {
  PromptComputed(placed);
  if (placed->placement.prefill) table_.Discharge(*placed->placement.prefill, 1, 0);
  placed->placement.prefill.reset();
}

void SimRouter::Ended(PlacedRequest* placed) {
  HandedOff(placed);
  table_.Discharge(placed->placement.decode, 1, 0);
}

}  // namespace baton::simulator
