#include "engine/sampling/distribution.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton {
namespace {

absl::Status CheckRange(const char* name, float value, float low, float high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must be between ", low, " and ", high, ", not ", value));
}

struct Scored {
  TokenId token;
  float logit;
};

// A strict order without ties, so that selection has one result.
bool MoreLikely(const Scored& a, const Scored& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

std::vector<Scored> TopK(absl::Span<const float> logits, size_t k) {
  std::vector<Scored> scored(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) scored[i] = {static_cast<TokenId>(i), logits[i]};
  if (k == 0 || k >= scored.size()) return scored;
  std::nth_element(scored.begin(), scored.begin() + k, scored.end(), MoreLikely);
  scored.resize(k);
  std::sort(scored.begin(), scored.end(), [](const Scored& a, const Scored& b) { return a.token < b.token; });
  return scored;
}

bool Heavier(const WeightedToken& a, const WeightedToken& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
}

bool ById(const WeightedToken& a, const WeightedToken& b) {
  return a.token < b.token;
}

// Keeps the fewest heaviest candidates whose weights reach top_p of the total.
void TopP(double top_p, std::vector<WeightedToken>* candidates) {
  double total = 0;
  for (const WeightedToken& c : *candidates) total += c.weight;
  // All tokens lighter than this together weigh less than what top-p leaves out, so none of them is kept:
  // only the others need sorting. Half of it allows for the rounding of the sums.
  const double lightest = 0.5 * (1 - top_p) * total / static_cast<double>(candidates->size());
  std::erase_if(*candidates, [&](const WeightedToken& c) { return c.weight < lightest; });
  std::sort(candidates->begin(), candidates->end(), Heavier);
  double sum = 0;
  size_t kept = 0;
  while (kept < candidates->size() && (kept == 0 || sum < top_p * total)) sum += (*candidates)[kept++].weight;
  candidates->resize(kept);
  std::sort(candidates->begin(), candidates->end(), ById);
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

absl::Status CheckLogits(absl::Span<const float> logits) {
  float highest = -std::numeric_limits<float>::infinity();
  bool bad = logits.empty();
  for (float logit : logits) {
    bad |= !(logit < std::numeric_limits<float>::infinity());
    highest = std::max(highest, logit);
  }
  if (bad || std::isinf(highest)) return absl::InternalError("the model's logits are not numbers");
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

TokenId Argmax(absl::Span<const float> logits) {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

std::vector<WeightedToken> Candidates(const SamplingParams& params, absl::Span<const float> logits) {
  const std::vector<Scored> scored = TopK(logits, params.top_k);
  double highest = -std::numeric_limits<double>::infinity();
  for (const Scored& s : scored) highest = std::max<double>(highest, s.logit);
  std::vector<WeightedToken> candidates;
  candidates.reserve(scored.size());
  for (const Scored& s : scored) {
    const double weight = std::exp((s.logit - highest) / params.temperature);
    if (weight > 0) candidates.push_back({s.token, weight});
  }
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
