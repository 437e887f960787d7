#include "services/router/policy/policies/slo.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "services/router/policy/filter.h"
#include "services/router/policy/policies/slo_load.h"

namespace baton::router {
namespace {

constexpr double kUsualAnswer = 256;
constexpr double kLate = 0.9;  // a chance of being late that is as good as certain
constexpr double kLeastSlo = 1e-3;
constexpr double kUnbounded = std::numeric_limits<double>::infinity();

double SecondsOr(absl::Duration slo, double otherwise) {
  if (slo == absl::InfiniteDuration()) return otherwise;
  return std::max(kLeastSlo, absl::ToDoubleSeconds(slo));
}

// The chance that what was predicted takes longer than the SLO.
double Miss(double predicted, double slo, double spread) {
  const double x = (predicted - slo) / (spread * slo);
  return x > 40 ? 1 : x < -40 ? 0 : 1 / (1 + std::exp(-x));
}

struct Candidate {
  uint32_t rank = 0;
  double cost = kUnbounded;
};

class SloPolicy final : public Policy {
 public:
  SloPolicy(const SloParameters& parameters, std::string text)
      : parameters_(parameters), text_(std::move(text)) {}

  absl::StatusOr<Placement> Place(const PolicyInput& input, PolicyRandom&) override;
  void Learn(const PolicyFeedback& feedback) override { load_.Learn(feedback); }
  std::string Describe() const override { return text_; }

 private:
  struct Wanted {
    double ttft_slo, itl_slo, answer;
  };
  // Of a rank that would compute the prompt.
  struct Computing {
    double wait = 0, work = 0, miss = 0;
  };
  SloPrompt PromptOn(const PolicyInput& input, uint32_t rank) const;
  Computing ComputingOn(const PolicyInput& input, uint32_t rank, const Wanted& wanted);
  double PrefillCost(const Computing& computing, const Wanted& wanted) const;
  // `computes`: seconds of prompts that it computes for this request.
  double DecodeCost(const PolicyInput& input, uint32_t rank, const Wanted& wanted, double computes);
  Candidate BestPrefill(const PolicyInput& input, const std::vector<uint32_t>& ranks, const Wanted& wanted);
  Placement Finish(const PolicyInput& input, uint32_t decode, const Candidate* prefill, double cost);

  const SloParameters parameters_;
  const std::string text_;
  SloLoad load_;
};

SloPrompt SloPolicy::PromptOn(const PolicyInput& input, uint32_t rank) const {
  const double prompt = input.request.prompt_tokens;
  const double held = std::min<double>(input.Held(rank), prompt);
  return {.uncached = prompt - held, .held = held};
}

SloPolicy::Computing SloPolicy::ComputingOn(const PolicyInput& input, uint32_t rank, const Wanted& wanted) {
  const RankView& view = input.ranks[rank];
  Computing computing{.wait = load_.WaitSeconds(view, input.now),
                      .work = load_.PrefillSeconds(view, PromptOn(input, rank))};
  computing.miss = Miss(computing.wait + computing.work, wanted.ttft_slo, parameters_.spread);
  return computing;
}

double SloPolicy::PrefillCost(const Computing& computing, const Wanted& wanted) const {
  const double work = computing.work / wanted.ttft_slo, wait = computing.wait / wanted.ttft_slo;
  if (computing.miss < kLate) return parameters_.miss * computing.miss + work + parameters_.queue * wait;
  // Late anyway: as little as can be.
  return parameters_.miss + work + wait;
}

double SloPolicy::DecodeCost(const PolicyInput& input, uint32_t rank, const Wanted& wanted, double computes) {
  const RankView& view = input.ranks[rank];
  const SloDecoding before = load_.DecodingOn(view);
  SloDecoding after = before;
  after.streams += 1;
  after.context += input.request.prompt_tokens + wanted.answer / 2;
  const double gap_before = load_.GapSeconds(view, before);
  double gap = load_.GapSeconds(view, after);
  // A prompt that is computed here holds up its streams for a while: a share of an answer's time.
  if (computes > 0) gap += computes / wanted.answer;
  const double late = Miss(gap, wanted.itl_slo, parameters_.spread);
  const double late_before = Miss(gap_before, wanted.itl_slo, parameters_.spread);
  double cost = parameters_.miss * (late + before.streams * std::max(0.0, late - late_before)) +
                parameters_.load * gap / wanted.itl_slo;
  if (view.page_tokens > 0 && view.total_pages > 0) {
    const double room = double(view.free_pages) * double(view.page_tokens) - double(view.fresh_context);
    const double total = double(view.total_pages) * double(view.page_tokens);
    const double full = 1 - (room - input.request.prompt_tokens - wanted.answer) / total;
    cost += parameters_.pages * std::pow(std::clamp(full, 0.0, 1.5), 8);
  }
  return cost;
}

Candidate SloPolicy::BestPrefill(const PolicyInput& input, const std::vector<uint32_t>& ranks,
                                 const Wanted& wanted) {
  Candidate best;
  for (const uint32_t rank : ranks) {
    const double cost = PrefillCost(ComputingOn(input, rank, wanted), wanted);
    const bool tie =
        cost == best.cost && LessLoaded(WorkerRole::kPrefill, input.ranks[rank], input.ranks[best.rank]);
    if (cost < best.cost || tie) best = {rank, cost};
  }
  return best;
}

Placement SloPolicy::Finish(const PolicyInput& input, uint32_t decode, const Candidate* prefill,
                            double cost) {
  Placement placement{.decode = input.ranks[decode].ref, .prefill = std::nullopt};
  const uint32_t computes = prefill != nullptr ? prefill->rank : decode;
  if (prefill != nullptr) {
    placement.prefill = input.ranks[prefill->rank].ref;
    placement.inexact = input.ranks[prefill->rank].fingerprint != input.ranks[decode].fingerprint;
    placement.reasons.prefill_score = prefill->cost;
  }
  placement.reasons.decode_score = cost - placement.reasons.prefill_score;
  placement.reasons.held_tokens = input.Held(computes);
  for (uint32_t i = 0; i < input.ranks.size(); ++i) {
    if (input.ranks[i].role == input.ranks[computes].role)
      placement.reasons.best_held_tokens = std::max(placement.reasons.best_held_tokens, input.Held(i));
  }
  load_.Placing(input.stream, PromptOn(input, computes));
  return placement;
}

absl::StatusOr<Placement> SloPolicy::Place(const PolicyInput& input, PolicyRandom&) {
  const absl::StatusOr<std::vector<uint32_t>> decodes = DecodeCandidates(input.ranks, input.request);
  if (!decodes.ok()) return decodes.status();
  load_.Retain(input.ranks);
  for (const RankView& view : input.ranks) load_.Look(view);
  const PlacementRequest& request = input.request;
  const double answer = request.expected_new_tokens > 0
                            ? double(request.expected_new_tokens)
                            : std::min<double>(request.max_new_tokens, kUsualAnswer);
  const Wanted wanted{SecondsOr(request.ttft_slo, parameters_.ttft),
                      SecondsOr(request.itl_slo, parameters_.itl), std::max(1.0, answer)};
  // The best decode rank of each fingerprint, with the best prefill rank for it; and each without one.
  struct Group {
    const std::string* fingerprint;
    Candidate decode;
  };
  std::vector<Group> groups;
  Candidate alone;
  for (const uint32_t rank : *decodes) {
    const RankView& view = input.ranks[rank];
    const double cost = DecodeCost(input, rank, wanted, 0);
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& one) { return *one.fingerprint == view.fingerprint; });
    if (group == groups.end()) group = groups.insert(groups.end(), {&view.fingerprint, {}});
    const bool tie =
        cost == group->decode.cost && LessLoaded(WorkerRole::kDecode, view, input.ranks[group->decode.rank]);
    if (cost < group->decode.cost || tie) group->decode = {rank, cost};
    const Computing computing = ComputingOn(input, rank, wanted);
    double direct = PrefillCost(computing, wanted) + DecodeCost(input, rank, wanted, computing.work);
    const double uncached = request.prompt_tokens - std::min<double>(input.Held(rank), request.prompt_tokens);
    if (uncached < parameters_.direct) direct -= parameters_.miss;
    if (direct < alone.cost) alone = {rank, direct};
  }
  Candidate decode, prefill;
  double pair = kUnbounded;
  for (const Group& group : groups) {
    const std::vector<uint32_t> ranks =
        PrefillCandidates(input.ranks, request, input.ranks[group.decode.rank]);
    if (ranks.empty()) continue;
    const Candidate best = BestPrefill(input, ranks, wanted);
    if (best.cost + group.decode.cost >= pair) continue;
    pair = best.cost + group.decode.cost;
    decode = group.decode;
    prefill = best;
  }
  if (pair == kUnbounded || alone.cost < pair) return Finish(input, alone.rank, nullptr, alone.cost);
  return Finish(input, decode.rank, &prefill, pair);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Policy>> MakeSlo(const PolicySpec& spec, const PlacementConfig& config) {
  if (spec.name != "slo") return nullptr;
  SloParameters values;
  values.direct = config.direct_below_tokens;
  PolicyParameters parameters(spec);
  parameters.Number("ttft", 1e-3, 1e6, &values.ttft);
  parameters.Number("itl", 1e-4, 1e6, &values.itl);
  parameters.Number("spread", 1e-3, 10, &values.spread);
  parameters.Number("miss", 0, 1e6, &values.miss);
  parameters.Number("queue", 0, 1e6, &values.queue);
  parameters.Number("load", 0, 1e6, &values.load);
  parameters.Number("pages", 0, 1e6, &values.pages);
  parameters.Number("direct", 0, 1e9, &values.direct);
  if (const absl::Status status = parameters.Finish(); !status.ok()) return status;
  return std::make_unique<SloPolicy>(values, parameters.Describe());
}

}  // namespace baton::router
