#pragma once

// What a sequence's penalties depend on: which tokens it holds and how often each was generated. Not
// thread-safe.

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "common/ids.h"
#include "engine/types.h"

namespace baton {

// Whether `params` look at the history at all; if not, none need be kept.
bool UsesHistory(const SamplingParams& params);

class TokenHistory {
 public:
  void AddPrompt(absl::Span<const TokenId> tokens);
  void AddGenerated(TokenId token) { ++counts_[token]; }

  // Every token of the prompt and the answer, with the number of times it was generated (0: prompt only).
  const absl::flat_hash_map<TokenId, int32_t>& counts() const { return counts_; }

 private:
  absl::flat_hash_map<TokenId, int32_t> counts_;
};

}  // namespace baton
