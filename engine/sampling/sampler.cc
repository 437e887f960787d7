#include "engine/sampling/sampler.h"

#include <cmath>

#include "common/keyed_random.h"
#include "common/status_macros.h"
#include "engine/sampling/distribution.h"

namespace baton {
namespace {

// log of the sum of exp(logits), in double.
double LogSumExp(absl::Span<const float> logits, double highest) {
  double sum = 0;
  for (float logit : logits) sum += std::exp(logit - highest);
  return highest + std::log(sum);
}

}  // namespace

absl::StatusOr<SampledToken> Sample(const SamplingParams& params, const TokenHistory& history,
                                    int64_t position, int32_t top_logprobs, absl::Span<float> logits) {
  BATON_ASSIGN_OR_RETURN(TokenId best, Argmax(logits));
  SampledToken sampled;
  double log_sum = 0;
  std::vector<float> raw;
  if (top_logprobs >= 0) {
    raw.assign(logits.begin(), logits.end());
    log_sum = LogSumExp(raw, raw[best]);
    for (TokenId token : MostLikely(raw, top_logprobs)) {
      sampled.top.push_back({token, static_cast<float>(raw[token] - log_sum)});
    }
  }
  if (UsesHistory(params) || !params.logit_bias.empty()) {
    AdjustLogits(params, history, logits);
    BATON_ASSIGN_OR_RETURN(best, Argmax(logits));
  }
  sampled.token = params.temperature == 0 ? best
                                          : Draw(Candidates(params, logits),
                                                 KeyedUniform(params.seed, params.choice_index, position));
  if (top_logprobs >= 0) sampled.logprob = static_cast<float>(raw[sampled.token] - log_sum);
  return sampled;
}

}  // namespace baton
