#pragma once

// One token from one row of logits. Pure: the draw depends on (seed, choice index, position), the row and the
// history, never on the batch, the step or the machine's state.

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/sampling/token_history.h"
#include "engine/types.h"

namespace baton {

struct SampledToken {
  TokenId token = 0;
  float logprob = 0;            // of the model's own distribution; 0 unless asked for
  std::vector<TopLogprob> top;  // most likely first, equals by id
};

// `params` have passed CheckSamplingParams; `logits` has one entry a token id and is used as scratch.
// `position` counts generated tokens from 0. `top_logprobs`: -1 for none, otherwise how many alternatives.
// Internal if the logits are not numbers.
absl::StatusOr<SampledToken> Sample(const SamplingParams& params, const TokenHistory& history,
                                    int64_t position, int32_t top_logprobs, absl::Span<float> logits);

}  // namespace baton
