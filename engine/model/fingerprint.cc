#include "engine/model/fingerprint.h"

#include <xxhash.h>

#include <bit>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/model/rope_table.h"

namespace baton {
namespace {

// Positions whose rotary values stand for all.
constexpr int64_t kRopeSamples = 1024;

absl::string_view KvDtypeName(KvDtype dtype) {
  switch (dtype) {
    case KvDtype::kF32:
      return "f32";
    case KvDtype::kF16:
      return "f16";
    case KvDtype::kBF16:
      return "bf16";
  }
  return "unknown";
}

}  // namespace

std::string ModelId(const GgufFile& file, const ModelConfig& c) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  XXH3_128bits_reset(state.get());
  const auto add = [&](const void* data, size_t size) { XXH3_128bits_update(state.get(), data, size); };
  const std::string shape =
      absl::StrCat(c.architecture, " ", c.layers, " ", c.hidden, " ", c.ffn, " ", c.heads, " ", c.kv_heads,
                   " ", c.head_dim, " ", c.vocab, " ", absl::Hex(std::bit_cast<uint32_t>(c.rms_eps)), " ",
                   c.rope_dims, " ", absl::Hex(std::bit_cast<uint64_t>(c.rope_base)), " ",
                   absl::Hex(std::bit_cast<uint64_t>(c.rope_divisor)), " ", c.rope_factors.size(), " ");
  add(shape.data(), shape.size());
  add(c.rope_factors.data(), c.rope_factors.size() * sizeof(float));
  for (const GgufTensor& tensor : file.tensors()) {
    std::string head = absl::StrCat(tensor.name, " ", static_cast<uint32_t>(tensor.type));
    for (const int64_t dim : tensor.dims) absl::StrAppend(&head, " ", dim);
    add(head.data(), head.size());
    add(tensor.data.data(), tensor.data.size());
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  return absl::StrCat(absl::Hex(hash.high64, absl::kZeroPad16), absl::Hex(hash.low64, absl::kZeroPad16));
}

std::string DigestRotations(const ModelConfig& config) {
  const std::vector<float> rotations = RopeTable(config, kRopeSamples).values();
  return absl::StrCat(
      absl::Hex(XXH3_64bits(rotations.data(), rotations.size() * sizeof(float)), absl::kZeroPad16));
}

std::string Fingerprint(const std::string& model_id, const std::string& rotations, KvDtype kv_dtype) {
  return absl::StrCat(kNumericsVersion, "/", model_id, "/rope-", rotations, "/kv-", KvDtypeName(kv_dtype));
}

}  // namespace baton
