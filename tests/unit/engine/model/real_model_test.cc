// The default model (BATON_TEST_MODEL) against what transformers makes of the same file, and against itself.

#include <algorithm>
#include <map>

#include "benchmarks/engine/quality_run.h"
#include "engine/formats/gguf.h"
#include "tests/unit/engine/model/model_testing.h"

namespace baton {
namespace {

using model_testing::ArgMax;
using model_testing::Golden;
using model_testing::Pages;
using model_testing::RunPrompt;

class RealModel : public testing::Test {
 protected:
  void SetUp() override {
    const char* path = std::getenv("BATON_TEST_MODEL");
    if (path == nullptr || *path == '\0') GTEST_SKIP() << "BATON_TEST_MODEL names no model file";
    auto file = GgufFile::Open(path);
    ASSERT_TRUE(file.ok()) << file.status();
    auto weights = LlamaWeights::Load(**file, 1024, 2);
    ASSERT_TRUE(weights.ok()) << weights.status();
    weights_ = *weights;
    options_.threads = 2;
    options_.page_count = 50 * 16;
    options_.kv_dtype = KvDtype::kF32;
  }

  std::unique_ptr<LlamaModel> Model() {
    auto model = LlamaModel::Create(weights_, options_);
    EXPECT_TRUE(model.ok()) << model.status();
    return *std::move(model);
  }

  std::shared_ptr<const LlamaWeights> weights_;
  LlamaOptions options_;
};

// tests/scripts/model/make_greedy_goldens.py
struct Continuation {
  std::vector<TokenId> prompt, tokens, gaps;  // gaps between the two best logits, in units of 1e-4
};

std::vector<Continuation> ReadContinuations(const std::string& path) {
  const auto lines = model_testing::ReadTokenLines(path);
  std::vector<Continuation> out;
  for (size_t i = 0; i + 3 < lines.size(); i += 4) out.push_back({lines[i], lines[i + 1], lines[i + 2]});
  return out;
}

TEST_F(RealModel, GreedyContinuationsAreThoseOfTransformers) {
  const std::vector<Continuation> golden = ReadContinuations(Golden("smollm2-greedy.txt"));
  ASSERT_EQ(golden.size(), 50u);
  const auto model = Model();
  const size_t vocab = model->vocab_size();
  std::vector<std::vector<PageId>> pages;
  std::vector<TokenId> next;
  for (size_t i = 0; i < golden.size(); ++i) {
    ASSERT_EQ(golden[i].tokens.size(), 128u);
    pages.push_back(Pages(static_cast<PageId>(16 * i), 16));
    next.push_back(ArgMax(RunPrompt(*model, golden[i].prompt, pages[i], 512)));
  }
  std::vector<float> logits(golden.size() * vocab);
  std::vector<bool> parted(golden.size(), false);
  size_t same = 0;
  for (size_t step = 0; step < 128; ++step) {
    std::vector<ForwardItem> items;
    for (size_t i = 0; i < golden.size(); ++i) {
      if (!parted[i] && next[i] != golden[i].tokens[step]) {
        parted[i] = true;
        EXPECT_LT(golden[i].gaps[step], 10) << "prompt " << i << " parts at token " << step;
      }
      same += parted[i] ? 0 : 1;
      items.push_back({.tokens = absl::MakeSpan(&next[i], 1),
                       .start = static_cast<int64_t>(golden[i].prompt.size() + step),
                       .pages = pages[i],
                       .want_logits = true});
    }
    ASSERT_TRUE(model->Forward(items, nullptr, absl::MakeSpan(logits)).ok());
    for (size_t i = 0; i < golden.size(); ++i)
      next[i] = ArgMax(absl::MakeSpan(logits).subspan(i * vocab, vocab));
  }
  const auto whole = std::count(parted.begin(), parted.end(), false);
  RecordProperty("same_continuations", static_cast<int>(whole));
  std::printf("%d of 50 continuations the same in all 128 tokens, %zu of 6400 tokens before any parting\n",
              static_cast<int>(whole), same);
}

TEST_F(RealModel, SameBitsForEveryInstructionSetThreadCountChunkAndBatch) {
  const std::vector<TokenId> tokens = ReadContinuations(Golden("smollm2-greedy.txt")).back().prompt;
  options_.kv_dtype = KvDtype::kF16;
  const std::vector<PageId> pages = Pages(0, 8);
  const auto short_prompt = absl::MakeSpan(tokens).subspan(0, 20);
  const std::vector<float> want = RunPrompt(*Model(), tokens, pages, 128);
  const std::vector<float> want_short = RunPrompt(*Model(), short_prompt, pages, 20);
  for (const kernels::Isa isa : {kernels::Isa::kScalar, kernels::Isa::kAvx2, kernels::Isa::kAvx512}) {
    if (!kernels::IsaSupported(isa)) continue;
    for (const int threads : {1, 2, 3}) {
      options_.isa = isa;
      options_.threads = threads;
      const auto model = Model();
      if (isa == kernels::Isa::kScalar) {
        if (threads == 2) {
          EXPECT_EQ(RunPrompt(*model, short_prompt, pages, 9), want_short);
        }
        continue;
      }
      EXPECT_EQ(RunPrompt(*model, tokens, pages, threads == 1 ? 1 : 37), want);
      EXPECT_EQ(RunPrompt(*model, short_prompt, pages, 11), want_short);
    }
  }
}

TEST_F(RealModel, AHalfPrecisionCacheChangesNextToNothing) {
  const auto text = ReadQualityText(Golden("quality-text.u16"), 48);
  ASSERT_TRUE(text.ok()) << text.status();
  const auto exact = MeasureQuality(weights_, options_, *text);
  options_.kv_dtype = KvDtype::kF16;
  const auto fast = MeasureQuality(weights_, options_, *text);
  ASSERT_TRUE(exact.ok() && fast.ok());
  EXPECT_NEAR(fast->perplexity / exact->perplexity, 1.0, 0.005);
  EXPECT_GE(TopAgreement(*exact, *fast), 0.98);
}

}  // namespace
}  // namespace baton
