#include "engine/sampling/token_history.h"

namespace baton {

bool UsesHistory(const SamplingParams& params) {
  return params.repetition_penalty != 1.0f || params.frequency_penalty != 0.0f ||
         params.presence_penalty != 0.0f;
}

void TokenHistory::AddPrompt(absl::Span<const TokenId> tokens) {
  for (TokenId token : tokens) counts_.try_emplace(token, 0);
}

}  // namespace baton
