#pragma once

// The weights of a Llama, packed for the kernels once and shared by all ranks of a process. Immutable, so
// thread-safe; does not refer to the file after loading.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/formats/gguf.h"
#include "engine/kernels/packed_matrix.h"
#include "engine/model/config.h"
#include "engine/model/rope_table.h"

namespace baton {

struct LlamaLayer {
  std::vector<float> attn_norm, ffn_norm;  // [hidden]
  kernels::PackedMatrix q, k, v,
      o;  // [heads * head_dim][hidden], twice [kv_heads * head_dim][hidden], [hidden][heads * head_dim]
  kernels::PackedMatrix gate, up, down;  // [ffn][hidden] twice, [hidden][ffn]
};

struct LlamaWeights {
  // Every tensor of the file must be known and have the shape that the configuration says: errors name it.
  // `max_context` shortens the file's context; 0 keeps it. Packs on `threads` threads.
  static absl::StatusOr<std::shared_ptr<const LlamaWeights>> Load(const GgufFile& file, int64_t max_context,
                                                                  int threads);

  const kernels::PackedMatrix& output_matrix() const { return tied ? embedding : output; }

  ModelConfig config;
  RopeTable rope;
  std::vector<LlamaLayer> layers;
  kernels::PackedMatrix embedding;  // [vocab][hidden]
  bool tied = false;                // logits come from the embedding
  kernels::PackedMatrix output;     // [vocab][hidden] unless tied
  std::vector<float> output_norm;   // [hidden]
  std::string model_id, rotations;  // fingerprint.h
};

}  // namespace baton
