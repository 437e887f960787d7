#pragma once

// From logits to the weights that a token is drawn by. Pure functions; every sum runs in ascending token id,
// in double, so the result depends on nothing but the arguments (and on the C library's exp, whose variant
// belongs to the worker's numeric fingerprint: docs/exactness.md).

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/sampling/token_history.h"
#include "engine/types.h"

namespace baton {

// Ok if every parameter is finite and within range: temperature 0..100, top_k >= 0, top_p and min_p 0..1,
// penalties -100..100, repetition penalty 0.01..100, biases -1000..1000 of ids below `vocab`. Otherwise
// InvalidArgument.
absl::Status CheckSamplingParams(const SamplingParams& params, int vocab);

// In place, in this order: repetition penalty (Keskar et al. 2019, "CTRL": a positive logit is divided,
// another multiplied; prompt and answer), frequency and presence penalties (of generated tokens only, as
// OpenAI defines them), bias.
void AdjustLogits(const SamplingParams& params, const TokenHistory& history, absl::Span<float> logits);

// The highest logit's id; the lowest of equals. Internal if a logit is NaN or +infinity, or none is above
// -infinity.
absl::StatusOr<TokenId> Argmax(absl::Span<const float> logits);

// The `count` highest logits' ids (all of them, if there are no more), highest first, equals by id. No NaN
// among them.
std::vector<TokenId> MostLikely(absl::Span<const float> logits, size_t count);

struct WeightedToken {
  TokenId token;
  double weight;  // exp((logit - highest) / temperature): the most likely token has 1
};

// The tokens that can be drawn, by ascending id: softmax at params.temperature (> 0), then top-k, then top-p
// of what is left (the fewest most likely tokens that hold that much; at least one), then min-p (relative to
// the most likely). Equal logits rank by id.
std::vector<WeightedToken> Candidates(const SamplingParams& params, absl::Span<const float> logits);

// The token at `uniform` (in [0, 1)) of the cumulative distribution by ascending id. `candidates` is not
// empty.
TokenId Draw(absl::Span<const WeightedToken> candidates, double uniform);

}  // namespace baton
