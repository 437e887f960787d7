#pragma once

// Perplexity of a model over a fixed text, and how often two runs agree on the most likely token.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/model/llama.h"

namespace baton {

// Token ids in windows of `window_tokens`, each scored on its own; the first `used_tokens` of each are read.
struct QualityText {
  std::vector<TokenId> tokens;
  int64_t window_tokens = 512;
  int64_t used_tokens = 512;

  int64_t windows() const { return static_cast<int64_t>(tokens.size()) / window_tokens; }
};

// Little-endian 16-bit ids (tests/scripts/model/make_quality_text.py).
absl::StatusOr<QualityText> ReadQualityText(const std::string& path, int64_t used_tokens);

struct QualityRun {
  double perplexity = 0;
  std::vector<TokenId> top;  // most likely token at every scored position
};

// Feeds all windows in lockstep, a token of each a step. options.page_count and max_batch_tokens are set to
// what it takes.
absl::StatusOr<QualityRun> MeasureQuality(std::shared_ptr<const LlamaWeights> weights, LlamaOptions options,
                                          const QualityText& text);

// Share of positions in [0, 1] at which both have the same most likely token.
double TopAgreement(const QualityRun& a, const QualityRun& b);

}  // namespace baton
