// Logits of random-weight tiny models against transformers (tests/scripts/model/refresh_tiny.sh), and the
// same bits however a step is composed and whatever computes it.

#include <cmath>

#include "engine/kernels/isa.h"
#include "tests/unit/engine/model/model_testing.h"

namespace baton {
namespace {

using model_testing::Golden;
using model_testing::MustLoad;
using model_testing::Pages;
using model_testing::RunEachToken;
using model_testing::RunPrompt;
using model_testing::SmallOptions;

// |got - want| relative to the largest logit of the row.
void ExpectClose(absl::Span<const float> got, absl::Span<const float> want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  double largest = 0, worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(want[i])));
    worst = std::max(worst, std::abs(static_cast<double>(got[i]) - want[i]));
  }
  EXPECT_LE(worst, tolerance * largest);
}

class TinyLlama : public testing::TestWithParam<const char*> {
 protected:
  std::string Path(const std::string& suffix) const { return Golden(std::string(GetParam()) + suffix); }
};

TEST_P(TinyLlama, LogitsAreThoseOfTransformers) {
  const auto runner = MustLoad(Path(".gguf"), SmallOptions());
  const auto prompts = model_testing::ReadTokenLines(Path(".prompts.txt"));
  const std::vector<float> want = model_testing::ReadFloats(Path(".logits.f32"));
  const size_t vocab = runner->vocab_size();
  ASSERT_EQ(prompts.size(), 8u);
  ASSERT_EQ(want.size(), (64 + 7) * vocab);
  const std::vector<PageId> pages = Pages(0, 4);

  const std::vector<float> all = RunEachToken(*runner, prompts[0], pages);
  for (size_t i = 0; i < 64; ++i) {
    SCOPED_TRACE(i);
    ExpectClose(absl::MakeSpan(all).subspan(i * vocab, vocab), absl::MakeSpan(want).subspan(i * vocab, vocab),
                2e-4);
  }
  for (size_t p = 1; p < prompts.size(); ++p) {
    SCOPED_TRACE(p);
    ExpectClose(RunPrompt(*runner, prompts[p], pages, 64),
                absl::MakeSpan(want).subspan((63 + p) * vocab, vocab), 2e-4);
  }
}

TEST_P(TinyLlama, SameBitsForEveryChunkingThreadCountAndInstructionSet) {
  std::vector<TokenId> tokens;
  for (const auto& line : model_testing::ReadTokenLines(Path(".prompts.txt"))) {
    tokens.insert(tokens.end(), line.begin(), line.end());
  }
  tokens.resize(300);
  for (const KvDtype dtype : {KvDtype::kF32, KvDtype::kF16, KvDtype::kBF16}) {
    std::vector<float> want;
    for (const kernels::Isa isa : {kernels::Isa::kScalar, kernels::Isa::kAvx2, kernels::Isa::kAvx512}) {
      if (!kernels::IsaSupported(isa)) continue;
      for (const int threads : {1, 2, 3}) {
        LlamaOptions options = SmallOptions();
        options.isa = isa;
        options.threads = threads;
        options.kv_dtype = dtype;
        options.atoms_per_page = threads;
        const auto runner = MustLoad(Path(".gguf"), options);
        for (const size_t chunk : {300, 1, 7, 16, 61, 130}) {
          if (isa == kernels::Isa::kScalar && chunk != 61 && threads > 1) continue;  // it is slow
          const std::vector<float> got =
              RunPrompt(*runner, tokens, Pages(3, runner->kv_layout().PagesFor(300)), chunk);
          if (want.empty()) want = got;
          ASSERT_EQ(got, want) << kernels::IsaName(isa).data() << ", " << threads << " threads, chunks of "
                               << chunk;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, TinyLlama, testing::Values("tiny-llama", "tiny-llama-mixed"),
                         [](const auto& info) {
                           return std::string(info.param) == "tiny-llama" ? "F32" : "Mixed";
                         });

}  // namespace
}  // namespace baton
