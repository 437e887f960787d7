#pragma once

// Shared by the model's tests: goldens, and a sequence that is fed to a runner step by step.

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "engine/model/factory.h"
#include "gtest/gtest.h"

namespace baton::model_testing {

inline std::string Golden(const std::string& name) {
  return std::string(BATON_SOURCE_DIR) + "/tests/goldens/model/" + name;
}

// A line of integers each.
inline std::vector<std::vector<TokenId>> ReadTokenLines(const std::string& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in.good()) << path;
  std::vector<std::vector<TokenId>> lines;
  for (std::string line; std::getline(in, line);) {
    std::istringstream numbers(line);
    lines.emplace_back();
    for (TokenId id; numbers >> id;) lines.back().push_back(id);
  }
  return lines;
}

inline std::vector<float> ReadFloats(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::copy_n(bytes.data(), floats.size() * sizeof(float), reinterpret_cast<char*>(floats.data()));
  return floats;
}

inline LlamaOptions SmallOptions() {
  LlamaOptions options;
  options.page_count = 64;
  options.kv_dtype = KvDtype::kF32;
  return options;
}

inline std::unique_ptr<ModelRunner> MustLoad(const std::string& path, const LlamaOptions& options) {
  auto runner = LoadModel(path, options);
  EXPECT_TRUE(runner.ok()) << runner.status();
  return runner.ok() ? *std::move(runner) : nullptr;
}

inline TokenId ArgMax(absl::Span<const float> row) {
  return static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin());
}

// Pages [first, first + count) in descending order, so that nothing relies on their being adjacent.
inline std::vector<PageId> Pages(PageId first, int64_t count) {
  std::vector<PageId> pages(count);
  std::iota(pages.rbegin(), pages.rend(), first);
  return pages;
}

// Feeds `tokens` in steps of `chunk` and returns the logits after the last.
inline std::vector<float> RunPrompt(ModelRunner& runner, absl::Span<const TokenId> tokens,
                                    absl::Span<const PageId> pages, size_t chunk) {
  std::vector<float> logits(runner.vocab_size());
  for (size_t at = 0; at < tokens.size(); at += chunk) {
    const absl::Span<const TokenId> part = tokens.subspan(at, chunk);
    const bool last = at + part.size() == tokens.size();
    const ForwardItem item{
        .tokens = part, .start = static_cast<int64_t>(at), .pages = pages, .want_logits = last};
    const absl::Status status =
        runner.Forward({item}, nullptr, last ? absl::MakeSpan(logits) : absl::Span<float>());
    EXPECT_TRUE(status.ok()) << status;
  }
  return logits;
}

// The logits after every token.
inline std::vector<float> RunEachToken(ModelRunner& runner, absl::Span<const TokenId> tokens,
                                       absl::Span<const PageId> pages) {
  std::vector<float> all;
  std::vector<float> logits(runner.vocab_size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    const ForwardItem item{.tokens = tokens.subspan(i, 1),
                           .start = static_cast<int64_t>(i),
                           .pages = pages,
                           .want_logits = true};
    const absl::Status status = runner.Forward({item}, nullptr, absl::MakeSpan(logits));
    EXPECT_TRUE(status.ok()) << status;
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

}  // namespace baton::model_testing
