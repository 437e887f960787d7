#include "engine/sampling/distribution.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton {
namespace {

absl::Status CheckRange(const char* name, float value, float low, float high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must be between ", low, " and ", high, ", not ", value));
}

bool Heavier(const WeightedToken& a, const WeightedToken& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
}

// Keeps the fewest heaviest candidates whose weights reach top_p of the total.
void TopP(double top_p, std::vector<WeightedToken>* candidates) {
  double total = 0;
  for (const WeightedToken& c : *candidates) total += c.weight;
  // All tokens lighter than this together weigh less than what top-p leaves out, so none of them is kept:
  // only the others need ranking. Half of it allows for the rounding of the sums.
  const double lightest = 0.5 * (1 - top_p) * total / static_cast<double>(candidates->size());
  std::erase_if(*candidates, [&](const WeightedToken& c) { return c.weight < lightest; });
  std::vector<WeightedToken> ranked = *candidates;
  std::ranges::sort(ranked, Heavier);
  double sum = 0;
  size_t kept = 0;
  while (kept < ranked.size() && (kept == 0 || sum < top_p * total)) sum += ranked[kept++].weight;
  std::erase_if(*candidates, [&](const WeightedToken& c) { return Heavier(ranked[kept - 1], c); });
}

}  // namespace

absl::Status CheckSamplingParams(const SamplingParams& params, int vocab) {
  BATON_RETURN_IF_ERROR(CheckRange("temperature", params.temperature, 0, 100));
  BATON_RETURN_IF_ERROR(CheckRange("top_p", params.top_p, 0, 1));
  BATON_RETURN_IF_ERROR(CheckRange("min_p", params.min_p, 0, 1));
  BATON_RETURN_IF_ERROR(CheckRange("presence_penalty", params.presence_penalty, -100, 100));
  BATON_RETURN_IF_ERROR(CheckRange("frequency_penalty", params.frequency_penalty, -100, 100));
  BATON_RETURN_IF_ERROR(CheckRange("repetition_penalty", params.repetition_penalty, 0.01f, 100));
  if (params.top_k < 0) return absl::InvalidArgumentError("top_k must not be negative");
  for (const auto& [token, bias] : params.logit_bias) {
    if (token < 0 || token >= vocab) {
      return absl::InvalidArgumentError(
          absl::StrCat("logit_bias of token ", token, ", which the model does not have"));
    }
    BATON_RETURN_IF_ERROR(CheckRange("logit_bias", bias, -1000, 1000));
  }
  return absl::OkStatus();
}

void AdjustLogits(const SamplingParams& params, const TokenHistory& history, absl::Span<float> logits) {
  if (UsesHistory(params)) {
    for (const auto& [token, generated] : history.counts()) {
      float& logit = logits[token];
      logit = logit > 0 ? logit / params.repetition_penalty : logit * params.repetition_penalty;
      if (generated == 0) continue;
      logit -= static_cast<float>(generated) * params.frequency_penalty + params.presence_penalty;
    }
  }
  for (const auto& [token, bias] : params.logit_bias) logits[token] += bias;
}

absl::StatusOr<TokenId> Argmax(absl::Span<const float> logits) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  float highest = -kInfinity;
  TokenId best = -1;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] <= highest) continue;
    if (!(logits[i] < kInfinity)) return absl::InternalError("the model's logits are not numbers");
    highest = logits[i];
    best = static_cast<TokenId>(i);
  }
  if (best < 0) return absl::InternalError("the model's logits rule out every token");
  return best;
}

std::vector<TokenId> MostLikely(absl::Span<const float> logits, size_t count) {
  const auto more_likely = [&](TokenId a, TokenId b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  };
  count = std::min(count, logits.size());
  std::vector<TokenId> best(count);
  std::iota(best.begin(), best.end(), 0);
  if (count == 0) return best;
  std::ranges::make_heap(best, more_likely);  // the least likely of the best is in front
  float lowest = logits[best.front()];
  for (size_t i = count; i < logits.size(); ++i) {
    if (logits[i] <= lowest) continue;  // an equal one has a higher id
    std::ranges::pop_heap(best, more_likely);
    best.back() = static_cast<TokenId>(i);
    std::ranges::push_heap(best, more_likely);
    lowest = logits[best.front()];
  }
  std::ranges::sort_heap(best, more_likely);
  return best;
}

std::vector<WeightedToken> Candidates(const SamplingParams& params, absl::Span<const float> logits) {
  const bool truncated = params.top_k > 0 && static_cast<size_t>(params.top_k) < logits.size();
  std::vector<TokenId> ids = truncated ? MostLikely(logits, params.top_k) : std::vector<TokenId>();
  const double highest = truncated ? logits[ids.front()] : *std::ranges::max_element(logits);
  std::vector<WeightedToken> candidates;
  const auto add = [&](TokenId id) {
    const double weight = std::exp((logits[id] - highest) / params.temperature);
    if (weight > 0) candidates.push_back({id, weight});
  };
  std::ranges::sort(ids);
  candidates.reserve(truncated ? ids.size() : logits.size());
  for (TokenId id : ids) add(id);
  for (TokenId id = 0; !truncated && id < static_cast<TokenId>(logits.size()); ++id) add(id);
  if (params.top_p < 1) TopP(params.top_p, &candidates);
  if (params.min_p > 0)
    std::erase_if(candidates, [&](const WeightedToken& c) { return c.weight < params.min_p; });
  return candidates;
}

TokenId Draw(absl::Span<const WeightedToken> candidates, double uniform) {
  double total = 0;
  for (const WeightedToken& c : candidates) total += c.weight;
  const double target = uniform * total;
  double sum = 0;
  for (const WeightedToken& c : candidates) {
    sum += c.weight;
    if (sum > target) return c.token;
  }
  return candidates.back().token;
}

}  // namespace baton
