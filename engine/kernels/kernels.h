#pragma once

// The operations of a transformer step on the CPU, as a table of functions per instruction set. All sets
// compute the same bits (docs/exactness.md, "Kernels"): products are fused into sums by explicit fma, a sum
// over a row of inputs is one chain per output in ascending order, and reductions over lanes use 16 lanes and
// one fixed tree.
//
// All pointers are to float32 unless said otherwise; rows are contiguous, `ld` is the distance between rows
// in elements. Functions are thread-safe and check nothing: shapes are the caller's contract.

#include <cstddef>
#include <cstdint>

#include "common/kv_layout.h"
#include "engine/kernels/isa.h"
#include "engine/kernels/packed_matrix.h"

namespace baton::kernels {

// Attention splits keys and values at absolute positions that are multiples of this.
inline constexpr int kSegmentTokens = 64;
inline constexpr int kSegmentAtoms = kSegmentTokens / kAtomTokens;

struct GemmArgs {
  const PackedMatrix* w;
  int64_t panel_begin, panel_end;  // outputs [16 panel_begin, min(16 panel_end, rows))
  const float* x;                  // [m][cols]
  int64_t ldx;
  int64_t m;
  float* y;  // [m][rows]
  int64_t ldy;
  bool add;        // y += W x, one rounding after the finished sum; else y = W x
  float* scratch;  // GemmScratchFloats(cols) floats, 64-byte aligned
};

inline constexpr size_t GemmScratchFloats(int64_t cols) {
  return static_cast<size_t>(cols) * 2 * kPanelRows;
}

// A segment's share of softmax(q k) v before division: maximum score, sum of exp(score - maximum), and the
// weighted values. `sum` is 0 where a row has seen no token yet.
struct AttentionState {
  float* max;  // [rows]
  float* sum;  // [rows]
  float* out;  // [rows][head_dim]
};

struct SegmentArgs {
  const float* q;  // [rows][head_dim]
  int rows;
  int head_dim;  // a multiple of 16
  float scale;   // of the scores
  KvDtype dtype;
  const std::byte*
      k_atoms[kSegmentAtoms];  // units of KvLayout; only those below the largest `valid` are read
  const std::byte* v_atoms[kSegmentAtoms];
  const int* valid;  // [rows]: the row sees the segment's first valid[row] tokens, 0..64
  AttentionState state;
  float* scratch;  // SegmentScratchFloats(rows, head_dim) floats, 64-byte aligned
};

inline constexpr size_t SegmentScratchFloats(int rows, int head_dim) {
  return static_cast<size_t>(rows) * kSegmentTokens + (kSegmentTokens + kAtomTokens) * head_dim;
}

struct KernelTable {
  Isa isa;
  void (*gemm)(const GemmArgs& args);
  // y[i] = x[i] / sqrt(mean(x^2) + eps) * w[i]; n a multiple of 16. In place is allowed.
  void (*rms_norm)(const float* x, const float* w, float eps, int64_t n, float* y);
  // gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i]; n a multiple of 16
  void (*silu_mul)(float* gate, const float* up, int64_t n);
  // Rotates pairs (2i, 2i + 1) of the first 2 * pairs elements by (cos, sin)[i], interleaved in cos_sin.
  void (*rope)(float* head, const float* cos_sin, int pairs);
  // Rounds n floats (a multiple of 16) to nearest even into `out`.
  void (*store_kv)(const float* x, int64_t n, KvDtype dtype, std::byte* out);
  // Overwrites args.state with the segment's share of every row.
  void (*attend_segment)(const SegmentArgs& args);
  // total = total merged with the next segment's share. Segments are merged in ascending order.
  void (*merge_attention)(const AttentionState& total, const AttentionState& next, int rows, int head_dim);
  // state.out[row] /= state.sum[row], into out[row * ld ...]
  void (*finish_attention)(const AttentionState& state, int rows, int head_dim, float* out, int64_t ld);
};

// The set must be supported (IsaSupported).
const KernelTable& Kernels(Isa isa);

}  // namespace baton::kernels
