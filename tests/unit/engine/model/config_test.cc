// Files that describe no model we can run are refused with an error that names what is wrong.

#include "engine/model/config.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/model/llama.h"
#include "engine/model/rope_table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/gguf_writer.h"

namespace baton {
namespace {

using ::testing::HasSubstr;

// A whole small model of zeros; tests change one thing and write it.
struct Draft {
  std::string architecture = "llama";
  std::map<std::string, uint32_t> ints = {{"block_count", 1},          {"embedding_length", 32},
                                          {"feed_forward_length", 48}, {"context_length", 64},
                                          {"attention.head_count", 2}, {"attention.head_count_kv", 1}};
  std::map<std::string, float> floats = {{"attention.layer_norm_rms_epsilon", 1e-5f},
                                         {"rope.freq_base", 10000.0f}};
  std::map<std::string, std::string> strings;
  std::map<std::string, std::vector<int64_t>> tensors = {
      {"token_embd.weight", {32, 20}},     {"output_norm.weight", {32}},
      {"blk.0.attn_norm.weight", {32}},    {"blk.0.ffn_norm.weight", {32}},
      {"blk.0.attn_q.weight", {32, 32}},   {"blk.0.attn_k.weight", {32, 16}},
      {"blk.0.attn_v.weight", {32, 16}},   {"blk.0.attn_output.weight", {32, 32}},
      {"blk.0.ffn_gate.weight", {32, 48}}, {"blk.0.ffn_up.weight", {32, 48}},
      {"blk.0.ffn_down.weight", {48, 32}}};
  std::vector<float> rope_factors;

  std::string Bytes() const {
    testing::GgufWriter writer;
    writer.AddString("general.architecture", architecture);
    for (const auto& [key, value] : ints) writer.AddUint32(absl::StrCat(architecture, ".", key), value);
    for (const auto& [key, value] : floats) writer.AddFloat(absl::StrCat(architecture, ".", key), value);
    for (const auto& [key, value] : strings) writer.AddString(absl::StrCat(architecture, ".", key), value);
    for (const auto& [name, dims] : tensors) {
      int64_t count = 1;
      for (const int64_t dim : dims) count *= dim;
      writer.AddF32(name, dims, std::vector<float>(count));
    }
    if (!rope_factors.empty()) {
      writer.AddF32("rope_freqs.weight", {static_cast<int64_t>(rope_factors.size())}, rope_factors);
    }
    return writer.Bytes();
  }
};

absl::StatusOr<std::unique_ptr<GgufFile>> OpenDraft(const Draft& draft) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/config_test.", getpid(), ".gguf");
  const std::string bytes = draft.Bytes();
  std::FILE* out = std::fopen(path.c_str(), "wb");
  std::fwrite(bytes.data(), 1, bytes.size(), out);
  std::fclose(out);
  auto file = GgufFile::Open(path);
  std::remove(path.c_str());
  return file;
}

absl::Status LoadDraft(const std::function<void(Draft&)>& change) {
  Draft draft;
  change(draft);
  const auto file = OpenDraft(draft);
  if (!file.ok()) return file.status();
  LlamaOptions options;
  options.page_count = 4;
  const auto model = LlamaModel::Load(**file, options);
  if (!model.ok()) return model.status();
  const std::vector<TokenId> tokens = {1, 2, 3};
  const std::vector<PageId> pages = {0};
  std::vector<float> logits((*model)->vocab_size());
  return (*model)->Forward({{.tokens = tokens, .pages = pages, .want_logits = true}}, nullptr,
                           absl::MakeSpan(logits));
}

TEST(ModelConfig, ReadsAWholeModel) {
  EXPECT_EQ(LoadDraft([](Draft&) {}), absl::OkStatus());
  Draft draft;
  draft.strings["rope.scaling.type"] = "linear";
  draft.floats["rope.scaling.factor"] = 4.0f;
  draft.rope_factors = std::vector<float>(8, 2.0f);
  const auto file = OpenDraft(draft);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto config = ReadModelConfig(**file);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->layers, 1);
  EXPECT_EQ(config->hidden, 32);
  EXPECT_EQ(config->ffn, 48);
  EXPECT_EQ(config->heads, 2);
  EXPECT_EQ(config->kv_heads, 1);
  EXPECT_EQ(config->head_dim, 16);
  EXPECT_EQ(config->vocab, 20);
  EXPECT_EQ(config->max_context, 64);
  EXPECT_EQ(config->rope_dims, 16);
  EXPECT_EQ(config->rope_divisor, 4.0);

  const RopeTable rope(*config, 64);
  const double angle = 40 / 4.0 * std::pow(10000.0, -6.0 / 16) / 2.0;
  EXPECT_NEAR(rope.Row(40)[6], std::cos(angle), 1e-6);
  EXPECT_NEAR(rope.Row(40)[7], std::sin(angle), 1e-6);
}

struct Refusal {
  const char* name;
  std::function<void(Draft&)> change;
  absl::StatusCode code;
  const char* message;
};

class RefusedModel : public ::testing::TestWithParam<Refusal> {};

TEST_P(RefusedModel, IsAnErrorThatNamesTheFault) {
  const absl::Status status = LoadDraft(GetParam().change);
  EXPECT_EQ(status.code(), GetParam().code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
constexpr auto kMissing = absl::StatusCode::kNotFound;

INSTANTIATE_TEST_SUITE_P(
    Faults, RefusedModel,
    ::testing::Values(
        Refusal{"Architecture", [](Draft& d) { d.architecture = "mamba"; }, kUnimplemented, "mamba"},
        Refusal{"Experts", [](Draft& d) { d.ints["expert_count"] = 8; }, kUnimplemented, "experts"},
        Refusal{"NoLayers", [](Draft& d) { d.ints["block_count"] = 0; }, kInvalid, "llama.block_count is 0"},
        Refusal{"ManyLayers", [](Draft& d) { d.ints["block_count"] = 4000000000u; }, kInvalid, "block_count"},
        Refusal{"LayerMissing", [](Draft& d) { d.ints["block_count"] = 2; }, kMissing,
                "blk.1.attn_norm.weight"},
        Refusal{"KeyMissing", [](Draft& d) { d.ints.erase("embedding_length"); }, kMissing,
                "embedding_length"},
        Refusal{"OddWidth", [](Draft& d) { d.ints["embedding_length"] = 40; }, kUnimplemented,
                "multiple of 16"},
        Refusal{"OddFeedForward", [](Draft& d) { d.ints["feed_forward_length"] = 8; }, kUnimplemented,
                "of 8"},
        Refusal{"HeadsDoNotDivide", [](Draft& d) { d.ints["attention.head_count"] = 3; }, kInvalid,
                "3 heads"},
        Refusal{"GroupsDoNotDivide", [](Draft& d) { d.ints["attention.head_count_kv"] = 3; }, kInvalid,
                "head_count_kv"},
        Refusal{"SmallHeads", [](Draft& d) { d.ints["attention.head_count"] = 4; }, kUnimplemented,
                "head dimension of 8"},
        Refusal{"NoEpsilon", [](Draft& d) { d.floats["attention.layer_norm_rms_epsilon"] = 0; }, kInvalid,
                "epsilon"},
        Refusal{"NanBase", [](Draft& d) { d.floats["rope.freq_base"] = std::nanf(""); }, kInvalid,
                "freq_base"},
        Refusal{"Yarn", [](Draft& d) { d.strings["rope.scaling.type"] = "yarn"; }, kUnimplemented, "yarn"},
        Refusal{"WrongFactors",
                [](Draft& d) {
                  d.rope_factors = {1, 2};
                },
                kInvalid, "rope_freqs"},
        Refusal{"ZeroFactors", [](Draft& d) { d.rope_factors.resize(8); }, kInvalid, "rope_freqs"},
        Refusal{"LongContext", [](Draft& d) { d.ints["context_length"] = 4000000000u; }, kInvalid,
                "context_length"},
        Refusal{"WrongShape",
                [](Draft& d) {
                  d.tensors["blk.0.ffn_up.weight"] = {32, 47};
                },
                kInvalid, "blk.0.ffn_up"},
        Refusal{"WrongNorm", [](Draft& d) { d.tensors["output_norm.weight"] = {31}; }, kInvalid,
                "output_norm"},
        Refusal{"Transposed",
                [](Draft& d) {
                  d.tensors["blk.0.attn_k.weight"] = {16, 32};
                },
                kInvalid, "attn_k"},
        Refusal{"WrongOutput",
                [](Draft& d) {
                  d.tensors["output.weight"] = {32, 21};
                },
                kInvalid, "output.weight"},
        Refusal{"Bias", [](Draft& d) { d.tensors["blk.0.attn_q.bias"] = {32}; }, kUnimplemented,
                "blk.0.attn_q.bias"},
        Refusal{"NoEmbedding", [](Draft& d) { d.tensors.erase("token_embd.weight"); }, kMissing,
                "token_embd"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace baton
