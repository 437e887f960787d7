#pragma once

// The shape of a model, read from GGUF metadata and checked.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/formats/gguf.h"

namespace baton {

struct ModelConfig {
  std::string architecture;
  int32_t layers = 0;
  int32_t hidden = 0;  // embedding length
  int32_t ffn = 0;
  int32_t heads = 0;
  int32_t kv_heads = 0;
  int32_t head_dim = 0;
  int32_t vocab = 0;
  int64_t max_context = 0;
  float rms_eps = 0;
  int32_t rope_dims = 0;  // of head_dim; the rest is not rotated
  double rope_base = 10000.0;
  double rope_divisor = 1.0;  // linear scaling: positions are divided by it
  std::vector<float>
      rope_factors;  // [rope_dims / 2] divisors of each frequency (rope_freqs.weight); empty: none
};

// Checks what kernels rely on: hidden, ffn and head_dim are multiples of 16, heads of kv_heads, everything is
// positive and within bounds. Errors name the key and the value. Only `llama` is known; another architecture
// is Unimplemented.
absl::StatusOr<ModelConfig> ReadModelConfig(const GgufFile& file);

}  // namespace baton
