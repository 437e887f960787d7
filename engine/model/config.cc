#include "engine/model/config.h"

#include <cmath>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton {
namespace {

constexpr int64_t kMaxDimension = 1 << 20;
constexpr int64_t kMaxContext = int64_t{1} << 24;

class Reader {
 public:
  Reader(const GgufFile& file, std::string prefix) : file_(file), prefix_(std::move(prefix)) {}

  std::string Key(absl::string_view name) const { return absl::StrCat(prefix_, ".", name); }
  bool Has(absl::string_view name) const { return file_.Has(Key(name)); }

  absl::Status Int(absl::string_view name, int64_t most, int32_t& out) const {
    BATON_ASSIGN_OR_RETURN(const int64_t value, file_.GetInt(Key(name)));
    if (value < 1 || value > most) {
      return absl::InvalidArgumentError(absl::StrCat(Key(name), " is ", value, ", not in [1, ", most, "]"));
    }
    out = static_cast<int32_t>(value);
    return absl::OkStatus();
  }

  absl::StatusOr<double> Positive(absl::string_view name) const {
    BATON_ASSIGN_OR_RETURN(const double value, file_.GetFloat(Key(name)));
    if (!(value > 0) || !std::isfinite(value)) {
      return absl::InvalidArgumentError(absl::StrCat(Key(name), " is ", value, ", not positive"));
    }
    return value;
  }

  absl::StatusOr<absl::string_view> String(absl::string_view name) const {
    return file_.GetString(Key(name));
  }

 private:
  const GgufFile& file_;
  std::string prefix_;
};

absl::Status MultipleOf16(absl::string_view what, int32_t value) {
  if (value % 16 == 0) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat(what, " of ", value, " is not a multiple of 16"));
}

absl::Status ReadHeads(const Reader& reader, ModelConfig& config) {
  BATON_RETURN_IF_ERROR(reader.Int("attention.head_count", kMaxDimension, config.heads));
  config.kv_heads = config.heads;
  if (reader.Has("attention.head_count_kv")) {
    BATON_RETURN_IF_ERROR(reader.Int("attention.head_count_kv", config.heads, config.kv_heads));
  }
  if (config.heads % config.kv_heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(config.heads, " heads cannot share ", config.kv_heads, " key/value heads"));
  }
  if (reader.Has("attention.key_length")) {
    int32_t value_length = 0;
    BATON_RETURN_IF_ERROR(reader.Int("attention.key_length", 4096, config.head_dim));
    BATON_RETURN_IF_ERROR(reader.Int("attention.value_length", 4096, value_length));
    if (value_length != config.head_dim) {
      return absl::UnimplementedError(
          absl::StrCat("keys of ", config.head_dim, " and values of ", value_length, " dimensions"));
    }
  } else if (config.hidden % config.heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("an embedding of ", config.hidden, " cannot be cut into ", config.heads, " heads"));
  } else {
    config.head_dim = config.hidden / config.heads;
  }
  return MultipleOf16("a head dimension", config.head_dim);
}

absl::Status ReadRopeFactors(const GgufFile& file, ModelConfig& config) {
  const auto tensor = file.Tensor("rope_freqs.weight");
  if (absl::IsNotFound(tensor.status())) return absl::OkStatus();
  BATON_RETURN_IF_ERROR(tensor.status());
  const GgufTensor& factors = **tensor;
  const int64_t count = config.rope_dims / 2;
  if (factors.type != GgmlType::kF32 || factors.dims != std::vector<int64_t>{count}) {
    return absl::InvalidArgumentError(absl::StrCat("rope_freqs.weight is not ", count, " F32 elements"));
  }
  config.rope_factors.resize(count);
  std::memcpy(config.rope_factors.data(), factors.data.data(), count * sizeof(float));
  for (const float factor : config.rope_factors) {
    if (!(factor > 0) || !std::isfinite(factor)) {
      return absl::InvalidArgumentError(absl::StrCat("rope_freqs.weight holds ", factor));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadRope(const GgufFile& file, const Reader& reader, ModelConfig& config) {
  config.rope_dims = config.head_dim;
  if (reader.Has("rope.dimension_count")) {
    BATON_RETURN_IF_ERROR(reader.Int("rope.dimension_count", config.head_dim, config.rope_dims));
    if (config.rope_dims % 2 != 0) return absl::InvalidArgumentError("rope.dimension_count is odd");
  }
  if (reader.Has("rope.freq_base")) {
    BATON_ASSIGN_OR_RETURN(config.rope_base, reader.Positive("rope.freq_base"));
  }
  if (reader.Has("rope.scaling.type")) {
    BATON_ASSIGN_OR_RETURN(const absl::string_view type, reader.String("rope.scaling.type"));
    if (type == "linear") {
      BATON_ASSIGN_OR_RETURN(config.rope_divisor, reader.Positive("rope.scaling.factor"));
    } else if (type != "none") {
      return absl::UnimplementedError(absl::StrCat("rope scaling \"", type, "\"; only linear is supported"));
    }
  } else if (reader.Has("rope.scale_linear")) {
    BATON_ASSIGN_OR_RETURN(config.rope_divisor, reader.Positive("rope.scale_linear"));
  }
  return ReadRopeFactors(file, config);
}

absl::Status ReadVocab(const GgufFile& file, ModelConfig& config) {
  BATON_ASSIGN_OR_RETURN(const GgufTensor* embedding, file.Tensor("token_embd.weight"));
  if (embedding->dims.size() != 2 || embedding->dims[1] < 1 || embedding->dims[1] > (1 << 24)) {
    return absl::InvalidArgumentError("token_embd.weight is not a matrix of at most 2^24 rows");
  }
  config.vocab = static_cast<int32_t>(embedding->dims[1]);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelConfig> ReadModelConfig(const GgufFile& file) {
  ModelConfig config;
  BATON_ASSIGN_OR_RETURN(const absl::string_view architecture, file.GetString("general.architecture"));
  config.architecture = std::string(architecture);
  if (architecture != "llama") {
    return absl::UnimplementedError(
        absl::StrCat("architecture \"", architecture, "\"; only llama is supported"));
  }
  const Reader reader(file, config.architecture);
  if (reader.Has("expert_count")) {
    int32_t experts = 0;
    if (!reader.Int("expert_count", 0, experts).ok() && *file.GetInt(reader.Key("expert_count")) != 0) {
      return absl::UnimplementedError("a llama with experts (Mixtral) is not supported");
    }
  }
  int32_t context = 0;
  BATON_RETURN_IF_ERROR(reader.Int("block_count", 4096, config.layers));
  BATON_RETURN_IF_ERROR(reader.Int("embedding_length", kMaxDimension, config.hidden));
  BATON_RETURN_IF_ERROR(reader.Int("feed_forward_length", kMaxDimension, config.ffn));
  BATON_RETURN_IF_ERROR(reader.Int("context_length", kMaxContext, context));
  config.max_context = context;
  BATON_RETURN_IF_ERROR(MultipleOf16("an embedding", config.hidden));
  BATON_RETURN_IF_ERROR(MultipleOf16("a feed-forward layer", config.ffn));
  BATON_ASSIGN_OR_RETURN(const double eps, reader.Positive("attention.layer_norm_rms_epsilon"));
  config.rms_eps = static_cast<float>(eps);
  BATON_RETURN_IF_ERROR(ReadHeads(reader, config));
  BATON_RETURN_IF_ERROR(ReadRope(file, reader, config));
  BATON_RETURN_IF_ERROR(ReadVocab(file, config));
  return config;
}

}  // namespace baton
