#pragma once

// Attention of several queries over one segment of paged keys and values, for a vector type V (vec_*.h).
//
// A score is one fma chain over the head's dimensions; the lanes are the 16 tokens of an atom, whose keys are
// transposed once for all queries. Weighted values are one fma chain over the tokens a row sees; the lanes
// are dimensions. So neither depends on the number of queries that share the segment (docs/exactness.md; the
// merge is that of online softmax, Milakov and Gimelshein 2018, arXiv 1805.02867).

#include "engine/kernels/cpu/elementwise_impl.h"
#include "engine/kernels/kernels.h"

namespace baton::kernels {

template <class V>
typename V::F LoadKv(const std::byte* row, KvDtype dtype, int i) {
  if (dtype == KvDtype::kF16) return V::LoadHalf(row + 2 * i);
  if (dtype == KvDtype::kBF16) return V::LoadBfloat16(row + 2 * i);
  return V::Load(reinterpret_cast<const float*>(row) + i);
}

// keys[dim][16] from an atom's [16][dim].
template <class V>
void TransposeKeys(const SegmentArgs& a, const std::byte* atom, float* keys) {
  const size_t row_bytes = a.head_dim * KvDtypeBytes(a.dtype);
  for (int d = 0; d < a.head_dim; d += 16) {
    typename V::F rows[16];
#pragma GCC unroll 16
    for (int t = 0; t < 16; ++t) rows[t] = LoadKv<V>(atom + t * row_bytes, a.dtype, d);
    V::Transpose(rows, keys + d * 16);
  }
}

// scores[row * 64 + 0..15] of rows [row, row + kRows) against one atom's keys.
template <class V, int kRows>
void ScoreTile(const SegmentArgs& a, int row, int atom, const float* keys, float* scores) {
  typename V::F sum[kRows];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) sum[r] = V::Zero();
  const float* q = a.q + static_cast<int64_t>(row) * a.head_dim;
  for (int d = 0; d < a.head_dim; ++d) {
    const typename V::F k = V::Load(keys + d * 16);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) sum[r] = V::Fma(V::Set1(q[r * a.head_dim + d]), k, sum[r]);
  }
  const typename V::F scale = V::Set1(a.scale);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const typename V::F s =
        V::KeepFirst(V::Mul(sum[r], scale), a.valid[row + r] - 16 * atom, -__builtin_inff());
    V::Store(scores + (row + r) * kSegmentTokens + 16 * atom, s);
  }
}

// Turns a row's scores into weights and sets its maximum and sum.
template <class V>
void SoftmaxRow(const SegmentArgs& a, int row, float* scores) {
  const int valid = a.valid[row];
  typename V::F top = V::Set1(-__builtin_inff());
  for (int t = 0; t < valid; t += 16) top = V::Max(top, V::Load(scores + t));
  const float max = V::ReduceMax(top);
  typename V::F total = V::Zero();
  for (int t = 0; t < valid; t += 16) {
    const typename V::F p = V::KeepFirst(Exp<V>(V::Sub(V::Load(scores + t), V::Set1(max))), valid - t, 0.0f);
    V::Store(scores + t, p);
    total = V::Add(total, p);
  }
  a.state.max[row] = max;
  a.state.sum[row] = V::ReduceAdd(total);
}

// out[row..][d..] over tokens [begin, end), continuing the chains if begin > 0.
template <class V, int kRows, int kVecs>
void ValueTile(const SegmentArgs& a, int row, int d, int begin, int end, const float* scores,
               const float* values) {
  typename V::F sum[kRows][kVecs];
  float* out = a.state.out + static_cast<int64_t>(row) * a.head_dim + d;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVecs; ++v)
      sum[r][v] = begin > 0 ? V::Load(out + r * a.head_dim + 16 * v) : V::Zero();
  }
  const float* p = scores + row * kSegmentTokens;
  for (int t = begin; t < end; ++t) {
    typename V::F value[kVecs];
#pragma GCC unroll 16
    for (int v = 0; v < kVecs; ++v) value[v] = V::Load(values + t * a.head_dim + d + 16 * v);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const typename V::F weight = V::Set1(p[r * kSegmentTokens + t]);
#pragma GCC unroll 16
      for (int v = 0; v < kVecs; ++v) sum[r][v] = V::Fma(weight, value[v], sum[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVecs; ++v) V::Store(out + r * a.head_dim + 16 * v, sum[r][v]);
  }
}

template <class V, int kRows>
void ValueRows(const SegmentArgs& a, int row, int begin, int end, const float* scores, const float* values) {
  int d = 0;
  for (; d + 16 * V::kValueVecs <= a.head_dim; d += 16 * V::kValueVecs) {
    ValueTile<V, kRows, V::kValueVecs>(a, row, d, begin, end, scores, values);
  }
  for (; d < a.head_dim; d += 16) ValueTile<V, kRows, 1>(a, row, d, begin, end, scores, values);
}

template <class V>
void AttendSegment(const SegmentArgs& a) {
  float* scores = a.scratch;
  float* values = scores + static_cast<int64_t>(a.rows) * kSegmentTokens;
  float* keys = values + kSegmentTokens * a.head_dim;
  int most = 0;
  for (int r = 0; r < a.rows; ++r) most = a.valid[r] > most ? a.valid[r] : most;

  const size_t row_bytes = a.head_dim * KvDtypeBytes(a.dtype);
  for (int atom = 0; atom * 16 < most; ++atom) {
    TransposeKeys<V>(a, a.k_atoms[atom], keys);
    int row = 0;
    for (; row + V::kScoreRows <= a.rows; row += V::kScoreRows) {
      ScoreTile<V, V::kScoreRows>(a, row, atom, keys, scores);
    }
    for (; row < a.rows; ++row) ScoreTile<V, 1>(a, row, atom, keys, scores);
  }
  for (int row = 0; row < a.rows; ++row) SoftmaxRow<V>(a, row, scores + row * kSegmentTokens);

  for (int t = 0; t < most; ++t) {
    const std::byte* from = a.v_atoms[t / 16] + (t % 16) * row_bytes;
    for (int d = 0; d < a.head_dim; d += 16)
      V::Store(values + t * a.head_dim + d, LoadKv<V>(from, a.dtype, d));
  }
  int row = 0;
  for (; row + V::kValueRows <= a.rows; row += V::kValueRows) {
    int common = a.valid[row];
    for (int r = 1; r < V::kValueRows; ++r) common = a.valid[row + r] < common ? a.valid[row + r] : common;
    ValueRows<V, V::kValueRows>(a, row, 0, common, scores, values);
    for (int r = 0; r < V::kValueRows; ++r) {
      if (a.valid[row + r] > common) ValueRows<V, 1>(a, row + r, common, a.valid[row + r], scores, values);
    }
  }
  for (; row < a.rows; ++row) ValueRows<V, 1>(a, row, 0, a.valid[row], scores, values);
}

template <class V>
void MergeAttention(const AttentionState& total, const AttentionState& next, int rows, int head_dim) {
  using F = typename V::F;
  for (int row = 0; row < rows; ++row) {
    if (next.sum[row] == 0.0f) continue;
    float* out = total.out + static_cast<int64_t>(row) * head_dim;
    const float* add = next.out + static_cast<int64_t>(row) * head_dim;
    if (total.sum[row] == 0.0f) {
      total.max[row] = next.max[row];
      total.sum[row] = next.sum[row];
      for (int d = 0; d < head_dim; d += 16) V::Store(out + d, V::Load(add + d));
      continue;
    }
    const float max = total.max[row] > next.max[row] ? total.max[row] : next.max[row];
    const F mine = Exp<V>(V::Set1(total.max[row] - max));
    const F theirs = Exp<V>(V::Set1(next.max[row] - max));
    alignas(64) float sum[16];
    V::Store(sum, V::Fma(V::Set1(total.sum[row]), mine, V::Mul(V::Set1(next.sum[row]), theirs)));
    total.max[row] = max;
    total.sum[row] = sum[0];
    for (int d = 0; d < head_dim; d += 16) {
      V::Store(out + d, V::Fma(V::Load(out + d), mine, V::Mul(V::Load(add + d), theirs)));
    }
  }
}

template <class V>
void FinishAttention(const AttentionState& state, int rows, int head_dim, float* out, int64_t ld) {
  for (int row = 0; row < rows; ++row) {
    const typename V::F inverse = V::Set1(1.0f / state.sum[row]);
    const float* from = state.out + static_cast<int64_t>(row) * head_dim;
    for (int d = 0; d < head_dim; d += 16) V::Store(out + row * ld + d, V::Mul(V::Load(from + d), inverse));
  }
}

}  // namespace baton::kernels
