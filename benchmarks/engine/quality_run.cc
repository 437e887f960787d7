#include "benchmarks/engine/quality_run.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton {
namespace {

double NegativeLogProbability(absl::Span<const float> logits, TokenId token) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - max);
  return std::log(sum) + max - logits[token];
}

}  // namespace

absl::StatusOr<QualityText> ReadQualityText(const std::string& path, int64_t used_tokens) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  QualityText text;
  text.used_tokens = std::min(used_tokens, text.window_tokens);
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    text.tokens.push_back(static_cast<uint8_t>(bytes[i]) | static_cast<uint8_t>(bytes[i + 1]) << 8);
  }
  if (text.windows() == 0) return absl::InvalidArgumentError(absl::StrCat(path, " holds no whole window"));
  return text;
}

absl::StatusOr<QualityRun> MeasureQuality(std::shared_ptr<const LlamaWeights> weights, LlamaOptions options,
                                          const QualityText& text) {
  const int64_t windows = text.windows();
  const int64_t pages_each = (text.used_tokens + kAtomTokens - 1) / kAtomTokens;
  options.page_count = windows * pages_each;
  options.atoms_per_page = 1;
  options.max_batch_tokens = windows;
  BATON_ASSIGN_OR_RETURN(const std::unique_ptr<LlamaModel> model,
                         LlamaModel::Create(std::move(weights), options));
  std::vector<PageId> pages(options.page_count);
  std::iota(pages.begin(), pages.end(), 0);
  const size_t vocab = model->vocab_size();
  std::vector<float> logits(windows * vocab);
  QualityRun run;
  double total = 0;
  for (int64_t position = 0; position + 1 < text.used_tokens; ++position) {
    std::vector<ForwardItem> items;
    for (int64_t w = 0; w < windows; ++w) {
      items.push_back({.tokens = absl::MakeSpan(text.tokens).subspan(w * text.window_tokens + position, 1),
                       .start = position,
                       .pages = absl::MakeSpan(pages).subspan(w * pages_each, pages_each),
                       .want_logits = true});
    }
    BATON_RETURN_IF_ERROR(model->Forward(items, nullptr, absl::MakeSpan(logits)));
    for (int64_t w = 0; w < windows; ++w) {
      const absl::Span<const float> row = absl::MakeSpan(logits).subspan(w * vocab, vocab);
      total += NegativeLogProbability(row, text.tokens[w * text.window_tokens + position + 1]);
      run.top.push_back(static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin()));
    }
  }
  run.perplexity = std::exp(total / static_cast<double>(run.top.size()));
  return run;
}

double TopAgreement(const QualityRun& a, const QualityRun& b) {
  int64_t same = 0;
  for (size_t i = 0; i < a.top.size(); ++i) same += a.top[i] == b.top[i] ? 1 : 0;
  return static_cast<double>(same) / static_cast<double>(a.top.size());
}

}  // namespace baton
