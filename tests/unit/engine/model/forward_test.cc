// The contract of ModelRunner: what it refuses, what it tells its sink, and that items do not touch one
// another.

#include <cstring>

#include "engine/model/fingerprint.h"
#include "engine/model/llama.h"
#include "tests/unit/engine/model/model_testing.h"

namespace baton {
namespace {

using model_testing::Golden;
using model_testing::MustLoad;
using model_testing::Pages;
using model_testing::RunPrompt;
using model_testing::SmallOptions;

std::vector<TokenId> Tokens(size_t count, TokenId first) {
  std::vector<TokenId> tokens(count);
  for (size_t i = 0; i < count; ++i) tokens[i] = static_cast<TokenId>((first + 13 * i) % 320);
  return tokens;
}

class Forward : public testing::Test {
 protected:
  std::unique_ptr<ModelRunner> runner_ = MustLoad(Golden("tiny-llama.gguf"), SmallOptions());
  std::vector<float> logits_ = std::vector<float>(320);

  absl::StatusCode Code(const ForwardItem& item) {
    return runner_->Forward({item}, nullptr, absl::MakeSpan(logits_).subspan(0, item.want_logits ? 320 : 0))
        .code();
  }
};

TEST_F(Forward, DescribesItself) {
  EXPECT_EQ(
      runner_->kv_layout(),
      (KvLayout{.layers = 2, .kv_heads = 2, .head_dim = 16, .dtype = KvDtype::kF32, .atoms_per_page = 1}));
  EXPECT_EQ(runner_->vocab_size(), 320);
  EXPECT_EQ(runner_->max_context(), 4096);
  EXPECT_EQ(runner_->page_count(), 64);
  EXPECT_EQ(runner_->PageData(3) - runner_->PageData(2),
            static_cast<ptrdiff_t>(runner_->kv_layout().PageBytes()));
}

TEST_F(Forward, RefusesWhatBreaksItsContract) {
  const std::vector<TokenId> tokens = Tokens(17, 5);
  const std::vector<PageId> pages = Pages(0, 2);
  const ForwardItem good{.tokens = tokens, .pages = pages, .want_logits = true};
  EXPECT_EQ(Code(good), absl::StatusCode::kOk);

  ForwardItem bad = good;
  bad.tokens = {};
  EXPECT_EQ(Code(bad), absl::StatusCode::kInvalidArgument);
  for (const TokenId token : {-1, 320, INT32_MAX}) {
    const std::vector<TokenId> wrong = {1, token};
    bad = good;
    bad.tokens = wrong;
    EXPECT_EQ(Code(bad), absl::StatusCode::kInvalidArgument);
  }
  for (const int64_t start : {int64_t{-1}, int64_t{4080}, INT64_MAX}) {
    bad = good;
    bad.start = start;
    EXPECT_EQ(Code(bad), absl::StatusCode::kInvalidArgument);
  }
  for (const PageId page : {-1, 64}) {
    const std::vector<PageId> wrong = {0, page};
    bad = good;
    bad.pages = wrong;
    EXPECT_EQ(Code(bad), absl::StatusCode::kInvalidArgument);
  }
  bad = good;
  bad.pages = absl::MakeSpan(pages).subspan(0, 1);
  EXPECT_EQ(Code(bad), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(runner_->Forward({good}, nullptr, {}).code(), absl::StatusCode::kInvalidArgument);
  const std::vector<TokenId> many = Tokens(513, 0);
  const std::vector<PageId> many_pages = Pages(0, 33);
  EXPECT_EQ(Code({.tokens = many, .pages = many_pages}), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(runner_->Forward({}, nullptr, {}).ok());
}

TEST_F(Forward, AnItemDoesNotDependOnTheOthersOfItsStep) {
  const std::vector<TokenId> a = Tokens(70, 3), b = Tokens(33, 100), c = Tokens(90, 200);
  const std::vector<PageId> pa = Pages(0, 5), pb = Pages(10, 3), pc = Pages(20, 6);
  const std::vector<float> want_a = RunPrompt(*runner_, a, pa, 512);
  const std::vector<float> want_c = RunPrompt(*runner_, c, pc, 512);
  std::memset(runner_->PageData(0), 0xff, 64 * runner_->kv_layout().PageBytes());

  // a decodes its last token while b and c are being read in chunks.
  RunPrompt(*runner_, absl::MakeSpan(a).subspan(0, 69), pa, 512);
  RunPrompt(*runner_, absl::MakeSpan(c).subspan(0, 41), pc, 512);
  std::vector<float> logits(2 * 320);
  const std::vector<ForwardItem> items = {
      {.tokens = absl::MakeSpan(a).subspan(69, 1), .start = 69, .pages = pa, .want_logits = true},
      {.tokens = b, .start = 0, .pages = pb},
      {.tokens = absl::MakeSpan(c).subspan(41), .start = 41, .pages = pc, .want_logits = true}};
  ASSERT_TRUE(runner_->Forward(items, nullptr, absl::MakeSpan(logits)).ok());
  EXPECT_EQ(std::vector<float>(logits.begin(), logits.begin() + 320), want_a);
  EXPECT_EQ(std::vector<float>(logits.begin() + 320, logits.end()), want_c);
}

TEST_F(Forward, CopiedPagesContinueTheSame) {
  const std::vector<TokenId> tokens = Tokens(100, 9);
  const std::vector<PageId> from = Pages(0, 7), to = Pages(30, 7);
  const std::vector<float> want = RunPrompt(*runner_, tokens, from, 512);
  for (size_t i = 0; i < from.size(); ++i) {
    std::memcpy(runner_->PageData(to[i]), runner_->PageData(from[i]), runner_->kv_layout().PageBytes());
  }
  std::vector<float> got(320);
  const ForwardItem last{
      .tokens = absl::MakeSpan(tokens).subspan(99, 1), .start = 99, .pages = to, .want_logits = true};
  ASSERT_TRUE(runner_->Forward({last}, nullptr, absl::MakeSpan(got)).ok());
  EXPECT_EQ(got, want);
}

// Keeps what the pages held when each group of layers was done.
class RecordingSink : public LayerSink {
 public:
  RecordingSink(ModelRunner& runner, PageId page) : runner_(runner), page_(page) {}
  void OnLayersDone(int first, int end) override {
    calls.push_back({first, end});
    const KvLayout& layout = runner_.kv_layout();
    for (int layer = first; layer < end; ++layer) {
      const std::byte* begin = runner_.PageData(page_) + layout.UnitOffset(0, layer, KvSide::kKey, 0);
      bytes.insert(bytes.end(), begin, begin + layout.LayerBytes());
    }
  }
  std::vector<std::pair<int, int>> calls;
  std::vector<std::byte> bytes;

 private:
  ModelRunner& runner_;
  const PageId page_;
};

TEST_F(Forward, TellsTheSinkOfLayersWhoseKeysAndValuesAreFinal) {
  using Calls = std::vector<std::pair<int, int>>;
  for (const int group : {1, 2, 5}) {
    LlamaOptions options = SmallOptions();
    options.layer_group = group;
    const auto runner = MustLoad(Golden("tiny-llama.gguf"), options);
    const std::vector<TokenId> tokens = Tokens(16, 1);
    RecordingSink sink(*runner, 4);
    const std::vector<PageId> pages = {4};
    ASSERT_TRUE(runner->Forward({{.tokens = tokens, .pages = pages}}, &sink, {}).ok());
    EXPECT_EQ(sink.calls, group == 1 ? (Calls{{0, 1}, {1, 2}}) : (Calls{{0, 2}}));
    const std::byte* page = runner->PageData(4);
    EXPECT_EQ(sink.bytes, std::vector<std::byte>(page, page + runner->kv_layout().PageBytes()));
  }
}

TEST(Fingerprint, TellsApartWhatComputesOtherBitsAndNothingElse) {
  const std::string path = Golden("tiny-llama.gguf");
  LlamaOptions options = SmallOptions();
  const std::string base = MustLoad(path, options)->fingerprint();
  options.threads = 2;
  options.isa = kernels::Isa::kScalar;
  options.atoms_per_page = 4;
  options.max_context = 128;
  EXPECT_EQ(MustLoad(path, options)->fingerprint(), base);
  options.kv_dtype = KvDtype::kBF16;
  EXPECT_NE(MustLoad(path, options)->fingerprint(), base);
  EXPECT_NE(MustLoad(Golden("tiny-llama-mixed.gguf"), SmallOptions())->fingerprint(), base);
}

TEST(ModelId, TellsModelsApartAndNotTheirNumbers) {
  const std::string path = Golden("tiny-llama.gguf");
  LlamaOptions options = SmallOptions();
  const std::string base = MustLoad(path, options)->model_id();
  options.kv_dtype = KvDtype::kF32;
  options.max_context = 128;
  EXPECT_EQ(MustLoad(path, options)->model_id(), base);
  EXPECT_NE(MustLoad(Golden("tiny-llama-mixed.gguf"), SmallOptions())->model_id(), base);
  const auto file = GgufFile::Open(path);
  ASSERT_TRUE(file.ok());
  const ModelConfig config = *ReadModelConfig(**file);
  EXPECT_EQ(ModelId(**file, config), base);
  const auto other = [&](auto change) {
    ModelConfig changed = config;
    change(changed);
    return ModelId(**file, changed);
  };
  EXPECT_NE(other([](ModelConfig& c) { c.rope_base *= 2; }), base);
  EXPECT_NE(other([](ModelConfig& c) { c.rope_divisor = 4; }), base);
  EXPECT_NE(other([](ModelConfig& c) { c.rope_dims /= 2; }), base);
  EXPECT_NE(other([](ModelConfig& c) { c.rope_factors = {1, 2}; }), base);
  EXPECT_NE(other([](ModelConfig& c) { c.kv_heads *= 2; }), base);
  EXPECT_NE(other([](ModelConfig& c) { c.layers += 1; }), base);
}

TEST(Factory, RanksShareWeightsButNotPages) {
  auto ranks = LoadModels(Golden("tiny-llama.gguf"), SmallOptions(), 2);
  ASSERT_TRUE(ranks.ok()) << ranks.status();
  const std::vector<TokenId> tokens = Tokens(40, 2);
  const std::vector<PageId> pages = Pages(0, 3);
  const std::vector<float> first = RunPrompt(*(*ranks)[0], tokens, pages, 512);
  EXPECT_EQ(RunPrompt(*(*ranks)[1], tokens, pages, 16), first);
  EXPECT_NE((*ranks)[0]->PageData(0), (*ranks)[1]->PageData(0));
  EXPECT_EQ((*ranks)[0]->fingerprint(), (*ranks)[1]->fingerprint());
}

TEST(Options, AreChecked) {
  const std::string path = Golden("tiny-llama.gguf");
  const auto code = [&](auto change) {
    LlamaOptions options = SmallOptions();
    change(options);
    return LoadModel(path, options).status().code();
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code([](LlamaOptions& o) { o.threads = 0; }), kInvalid);
  EXPECT_EQ(code([](LlamaOptions& o) { o.page_count = 0; }), kInvalid);
  EXPECT_EQ(code([](LlamaOptions& o) { o.atoms_per_page = 0; }), kInvalid);
  EXPECT_EQ(code([](LlamaOptions& o) { o.max_batch_tokens = 0; }), kInvalid);
  EXPECT_EQ(code([](LlamaOptions& o) { o.layer_group = 0; }), kInvalid);
  EXPECT_EQ(code([](LlamaOptions& o) { o.page_count = INT32_MAX, o.atoms_per_page = 4096; }),
            absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(LoadModel(Golden("no-such-file.gguf"), SmallOptions()).ok());
}

}  // namespace
}  // namespace baton
