#include "engine/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/keyed_random.h"
#include "common/status_macros.h"
#include "engine/sampling/distribution.h"

namespace baton {
namespace {

// log of the sum of exp(logits), in double.
double LogSumExp(absl::Span<const float> logits) {
  const double highest = logits[Argmax(logits)];
  double sum = 0;
  for (float logit : logits) sum += std::exp(logit - highest);
  return highest + std::log(sum);
}

std::vector<TopLogprob> TopLogprobs(absl::Span<const float> logits, double log_sum, size_t count) {
  std::vector<TokenId> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  count = std::min(count, ids.size());
  std::partial_sort(ids.begin(), ids.begin() + count, ids.end(), [&](TokenId a, TokenId b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  std::vector<TopLogprob> top(count);
  for (size_t i = 0; i < count; ++i) top[i] = {ids[i], static_cast<float>(logits[ids[i]] - log_sum)};
  return top;
}

}  // namespace

absl::StatusOr<SampledToken> Sample(const SamplingParams& params, const TokenHistory& history,
                                    int64_t position, int32_t top_logprobs, absl::Span<float> logits) {
  BATON_RETURN_IF_ERROR(CheckLogits(logits));
  SampledToken sampled;
  double log_sum = 0;
  std::vector<float> raw;
  if (top_logprobs >= 0) {
    raw.assign(logits.begin(), logits.end());
    log_sum = LogSumExp(raw);
    sampled.top = TopLogprobs(raw, log_sum, top_logprobs);
  }
  AdjustLogits(params, history, logits);
  BATON_RETURN_IF_ERROR(CheckLogits(logits));
  sampled.token = params.temperature == 0 ? Argmax(logits)
                                          : Draw(Candidates(params, logits),
                                                 KeyedUniform(params.seed, params.choice_index, position));
  if (top_logprobs >= 0) sampled.logprob = static_cast<float>(raw[sampled.token] - log_sum);
  return sampled;
}

}  // namespace baton
