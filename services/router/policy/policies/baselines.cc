#include "services/router/policy/policies/baselines.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "services/router/policy/policies/picking.h"

namespace baton::router {
namespace {

constexpr uint64_t kUsualPageTokens = 16;

uint32_t PowerOfTwo(WorkerRole role, const PolicyInput& input, absl::Span<const uint32_t> candidates,
                    PolicyRandom& random, double* score) {
  size_t pick = random.Below(candidates.size());
  if (candidates.size() > 1) {
    size_t other = random.Below(candidates.size() - 1);
    if (other >= pick) ++other;
    if (LessLoaded(role, input.ranks[candidates[other]], input.ranks[candidates[pick]])) pick = other;
  }
  const RankView& rank = input.ranks[candidates[pick]];
  *score = static_cast<double>(role == WorkerRole::kDecode ? rank.Streams() : rank.Backlog());
  return candidates[pick];
}

uint32_t LeastTokens(WorkerRole role, const PolicyInput& input, absl::Span<const uint32_t> candidates,
                     PolicyRandom&, double* score) {
  const uint32_t pick = LeastLoaded(role, input.ranks, candidates);
  const RankView& rank = input.ranks[pick];
  *score = static_cast<double>(role == WorkerRole::kDecode ? rank.Streams() : rank.Backlog());
  return pick;
}

// Whichever ranks come and go, the next in the order of references has its turn.
struct RoundRobin {
  std::map<WorkerRole, RankRef> last;
  uint32_t operator()(WorkerRole role, const PolicyInput& input, absl::Span<const uint32_t> candidates,
                      PolicyRandom&, double*) {
    const RankRef before = last[role];
    const auto turn = [&](uint32_t rank) {
      const RankRef ref = input.ranks[rank].ref;
      return std::make_pair(ref <= before, ref);
    };
    const uint32_t pick = *std::min_element(candidates.begin(), candidates.end(),
                                            [&](uint32_t a, uint32_t b) { return turn(a) < turn(b); });
    last[role] = input.ranks[pick].ref;
    return pick;
  }
};

struct CacheAware {
  double threshold = 0.5, abs = 32, rel = 1.1;
  uint32_t operator()(WorkerRole role, const PolicyInput& input, absl::Span<const uint32_t> candidates,
                      PolicyRandom&, double* score) const {
    const auto streams = [&](uint32_t rank) { return static_cast<double>(input.ranks[rank].Streams()); };
    const auto [least, most] =
        std::minmax_element(candidates.begin(), candidates.end(),
                            [&](uint32_t a, uint32_t b) { return streams(a) < streams(b); });
    const double low = streams(*least), high = streams(*most);
    if (high - low > abs && high > rel * low) return LowestScore(role, input, candidates, streams, score);
    const uint32_t match = LowestScore(
        role, input, candidates, [&](uint32_t rank) { return -double(input.Held(rank)); }, score);
    if (-*score > threshold * input.request.prompt_tokens) return match;
    return LowestScore(
        role, input, candidates,
        [&](uint32_t rank) { return rank < input.held_blocks.size() ? double(input.held_blocks[rank]) : 0; },
        score);
  }
};

struct VllmDplb {
  int form = 0;  // classic, usage
  double clients = 1;
  uint32_t operator()(WorkerRole role, const PolicyInput& input, absl::Span<const uint32_t> candidates,
                      PolicyRandom&, double* score) const {
    const auto cost = [&](uint32_t index) {
      const RankView& rank = input.ranks[index];
      const double waiting = double(rank.waiting) + clients * double(rank.fresh_streams);
      const double running = double(rank.running);
      if (form == 0) return 4 * waiting + running;
      const double usage = rank.total_pages == 0 ? 0 : 1 - double(rank.free_pages) / double(rank.total_pages);
      return std::max(clients * double(rank.own_streams), waiting + running) +
             6 * waiting * std::max(0.0, usage - 0.5);
    };
    return LowestScore(role, input, candidates, cost, score);
  }
};

struct KvCost {
  double overlap_weight = 1, temperature = 0;

  double Cost(const PolicyInput& input, uint32_t index) const {
    const RankView& rank = input.ranks[index];
    const double page = double(rank.page_tokens == 0 ? kUsualPageTokens : rank.page_tokens);
    const double prompt = std::ceil(input.request.prompt_tokens / page);
    const double held = std::floor(input.Held(index) / page);
    const double prefill = std::max(double(rank.Backlog()) / page + prompt - held, 0.0);
    const double used = double(rank.context_tokens + rank.fresh_context) / page;
    return overlap_weight * prefill + used + std::max(prompt - held, 0.0);
  }

  uint32_t operator()(WorkerRole role, const PolicyInput& input, absl::Span<const uint32_t> candidates,
                      PolicyRandom& random, double* score) const {
    const auto cost = [&](uint32_t rank) { return Cost(input, rank); };
    const uint32_t best = LowestScore(role, input, candidates, cost, score);
    if (temperature == 0) return best;
    double highest = *score;
    for (const uint32_t rank : candidates) highest = std::max(highest, cost(rank));
    const double lowest = *score, range = highest > lowest ? highest - lowest : 1;
    const auto weight = [&](uint32_t rank) { return std::exp((lowest - cost(rank)) / range / temperature); };
    double total = 0;
    for (const uint32_t rank : candidates) total += weight(rank);
    double left = random.Uniform() * total;
    for (const uint32_t rank : candidates) {
      left -= weight(rank);
      if (left >= 0) continue;
      *score = cost(rank);
      return rank;
    }
    return best;
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<Policy>> MakeBaseline(const PolicySpec& spec, PlacementConfig config) {
  PolicyParameters parameters(spec);
  PickFunction pick;
  if (spec.name == "round_robin") {
    pick = RoundRobin();
  } else if (spec.name == "least_tokens") {
    pick = LeastTokens;
  } else if (spec.name == "power_of_two") {
    pick = PowerOfTwo;
  } else if (spec.name == "cache_aware") {
    CacheAware policy;
    parameters.Number("threshold", 0, 1, &policy.threshold);
    parameters.Number("abs", 0, 1e9, &policy.abs);
    parameters.Number("rel", 1, 1e9, &policy.rel);
    pick = policy;
  } else if (spec.name == "vllm_dplb") {
    VllmDplb policy;
    parameters.Choice("form", {"classic", "usage"}, &policy.form);
    parameters.Number("clients", 1, 1e6, &policy.clients);
    pick = policy;
  } else if (spec.name == "kv_cost") {
    KvCost policy;
    parameters.Number("overlap_weight", 0, 1e6, &policy.overlap_weight);
    parameters.Number("temperature", 0, 1e3, &policy.temperature);
    pick = policy;
  } else {
    return nullptr;
  }
  double direct = config.direct_below_tokens;
  parameters.Number("direct", 0, 1e9, &direct);
  if (const absl::Status status = parameters.Finish(); !status.ok()) return status;
  config.direct_below_tokens = static_cast<uint32_t>(direct);
  return std::make_unique<PickingPolicy>(config, parameters.Describe(), std::move(pick));
}

}  // namespace baton::router
