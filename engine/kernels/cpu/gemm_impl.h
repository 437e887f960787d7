#pragma once

// y = W x with one fma chain per output over ascending inputs, for a vector type V (vec_*.h). A lane is an
// output row, so how many rows of x or panels of W a register tile holds changes nothing in any chain.
//
// Few rows of x: weights are unpacked in registers and used at once. Many: a panel is unpacked to scratch and
// reused.

#include "engine/kernels/kernels.h"

namespace baton::kernels {

// Each unpacker walks one panel: Block() every kBlock inputs, Group() every 8, Next() for each input's 16
// weights.
template <class V, auto kLoad, int kBytes>
struct UnpackFloat {
  static constexpr int kBlock = 8;
  const std::byte* q;

  UnpackFloat(const PackedMatrix& w, int64_t panel) : q(w.quants(panel)) {}
  void Block() {}
  void Group() {}
  typename V::F Next() {
    const typename V::F w = kLoad(q);
    q += kBytes * kPanelRows;
    return w;
  }
};

template <class V>
struct UnpackQ8 {
  static constexpr int kBlock = 32;
  const std::byte* s;
  const std::byte* q;
  typename V::F d;

  UnpackQ8(const PackedMatrix& w, int64_t panel) : s(w.scales(panel)), q(w.quants(panel)), d(V::Zero()) {}
  void Block() {
    d = V::LoadHalf(s);
    s += 2 * kPanelRows;
  }
  void Group() {}
  typename V::F Next() {
    const typename V::F w = V::Mul(d, V::LoadInt8(q));
    q += kPanelRows;
    return w;
  }
};

template <class V>
struct UnpackQ40 {
  static constexpr int kBlock = 32;
  const std::byte* s;
  const std::byte* q;
  typename V::F d;
  typename V::U nibbles;

  UnpackQ40(const PackedMatrix& w, int64_t panel)
      : s(w.scales(panel)), q(w.quants(panel)), d(V::Zero()), nibbles(V::LoadNibbles(q)) {}
  void Block() {
    d = V::LoadHalf(s);
    s += 2 * kPanelRows;
  }
  void Group() {
    nibbles = V::LoadNibbles(q);
    q += 4 * kPanelRows;
  }
  typename V::F Next() {
    const typename V::F w = V::Mul(d, V::NibbleMinus8(nibbles));
    nibbles = V::NextNibble(nibbles);
    return w;
  }
};

template <class V>
struct UnpackQ41 {
  static constexpr int kBlock = 32;
  const std::byte* s;
  const std::byte* q;
  typename V::F d, m;
  typename V::U nibbles;

  UnpackQ41(const PackedMatrix& w, int64_t panel)
      : s(w.scales(panel)), q(w.quants(panel)), d(V::Zero()), m(V::Zero()), nibbles(V::LoadNibbles(q)) {}
  void Block() {
    d = V::LoadHalf(s);
    m = V::LoadHalf(s + 2 * kPanelRows);
    s += 4 * kPanelRows;
  }
  void Group() {
    nibbles = V::LoadNibbles(q);
    q += 4 * kPanelRows;
  }
  typename V::F Next() {
    const typename V::F w = V::Fma(d, V::Nibble(nibbles), m);
    nibbles = V::NextNibble(nibbles);
    return w;
  }
};

template <class V>
typename V::F LoadFloats(const std::byte* p) {
  return V::Load(reinterpret_cast<const float*>(p));
}

template <class V>
void StoreOutputs(const GemmArgs& a, int64_t row, int64_t panel, typename V::F sum) {
  float* y = a.y + row * a.ldy + panel * kPanelRows;
  const int64_t left = a.w->rows() - panel * kPanelRows;
  if (left >= kPanelRows) {
    V::Store(y, a.add ? V::Add(V::Load(y), sum) : sum);
    return;
  }
  alignas(64) float lanes[kPanelRows];
  V::Store(lanes, sum);
  for (int64_t i = 0; i < left; ++i) y[i] = a.add ? y[i] + lanes[i] : lanes[i];
}

template <class V, class Unpack, int kRows, int kPanels>
[[gnu::noinline]] void FusedTile(const GemmArgs& a, int64_t row, int64_t panel) {
  typename V::F sum[kRows][kPanels];
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) sum[m][p] = V::Zero();
  }
  Unpack w[4] = {Unpack(*a.w, panel), Unpack(*a.w, panel + (kPanels > 1 ? 1 : 0)),
                 Unpack(*a.w, panel + (kPanels > 2 ? 2 : 0)), Unpack(*a.w, panel + (kPanels > 3 ? 3 : 0))};
  const float* x = a.x + row * a.ldx;
  for (int64_t block = 0; block < a.w->cols(); block += Unpack::kBlock) {
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) w[p].Block();
    for (int64_t k = block; k < block + Unpack::kBlock; k += 8) {
#pragma GCC unroll 16
      for (int p = 0; p < kPanels; ++p) w[p].Group();
#pragma GCC unroll 16
      for (int i = 0; i < 8; ++i) {
#pragma GCC unroll 16
        for (int p = 0; p < kPanels; ++p) {
          const typename V::F weights = w[p].Next();
#pragma GCC unroll 16
          for (int m = 0; m < kRows; ++m)
            sum[m][p] = V::Fma(V::Set1(x[m * a.ldx + k + i]), weights, sum[m][p]);
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) StoreOutputs<V>(a, row + m, panel + p, sum[m][p]);
  }
}

// All rows at once; a.m == kRows for some kRows in [1, V::kFusedRows].
template <class V, class Unpack, int kRows = 1>
void GemmFused(const GemmArgs& a) {
  if constexpr (kRows <= V::kFusedRows) {
    if (a.m != kRows) return GemmFused<V, Unpack, kRows + 1>(a);
    constexpr int kPanels = V::FusedPanels(kRows);
    int64_t panel = a.panel_begin;
    for (; panel + kPanels <= a.panel_end; panel += kPanels)
      FusedTile<V, Unpack, kRows, kPanels>(a, 0, panel);
    for (; panel < a.panel_end; ++panel) FusedTile<V, Unpack, kRows, 1>(a, 0, panel);
  }
}

template <class V, class Unpack>
void UnpackPanel(const GemmArgs& a, int64_t panel, float* out) {
  Unpack w(*a.w, panel);
  for (int64_t block = 0; block < a.w->cols(); block += Unpack::kBlock) {
    w.Block();
    for (int64_t k = block; k < block + Unpack::kBlock; k += 8) {
      w.Group();
#pragma GCC unroll 16
      for (int i = 0; i < 8; ++i) V::Store(out + (k + i) * kPanelRows, w.Next());
    }
  }
}

template <class V, int kRows, int kPanels>
[[gnu::noinline]] void DenseTile(const GemmArgs& a, int64_t row, int64_t panel) {
  typename V::F sum[kRows][kPanels];
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) sum[m][p] = V::Zero();
  }
  const int64_t cols = a.w->cols();
  const float* x = a.x + row * a.ldx;
  const float* w = a.scratch;
  for (int64_t k = 0; k < cols; ++k) {
    typename V::F weights[kPanels];
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) weights[p] = V::Load(w + (p * cols + k) * kPanelRows);
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) {
      const typename V::F input = V::Set1(x[m * a.ldx + k]);
#pragma GCC unroll 16
      for (int p = 0; p < kPanels; ++p) sum[m][p] = V::Fma(input, weights[p], sum[m][p]);
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) StoreOutputs<V>(a, row + m, panel + p, sum[m][p]);
  }
}

template <class V, int kPanels, int kRows = V::kDenseRows>
void DenseRows(const GemmArgs& a, int64_t row, int64_t rows, int64_t panel) {
  if constexpr (kRows > 0) {
    if (rows == kRows) return DenseTile<V, kRows, kPanels>(a, row, panel);
    DenseRows<V, kPanels, kRows - 1>(a, row, rows, panel);
  }
}

template <class V, class Unpack, int kPanels>
void DensePanels(const GemmArgs& a, int64_t panel) {
  for (int p = 0; p < kPanels; ++p) {
    UnpackPanel<V, Unpack>(a, panel + p, a.scratch + p * a.w->cols() * kPanelRows);
  }
  // Tiles of nearly equal height: a tile of few rows uses the registers badly.
  int64_t tiles = (a.m + V::kDenseRows - 1) / V::kDenseRows;
  for (int64_t row = 0; row < a.m; --tiles) {
    const int64_t rows = (a.m - row + tiles - 1) / tiles;
    DenseRows<V, kPanels>(a, row, rows, panel);
    row += rows;
  }
}

template <class V, class Unpack>
void GemmAs(const GemmArgs& a) {
  if (a.m <= V::kFusedRows) return GemmFused<V, Unpack>(a);
  int64_t panel = a.panel_begin;
  for (; panel + V::kDensePanels <= a.panel_end; panel += V::kDensePanels) {
    DensePanels<V, Unpack, V::kDensePanels>(a, panel);
  }
  for (; panel < a.panel_end; ++panel) DensePanels<V, Unpack, 1>(a, panel);
}

template <class V>
void Gemm(const GemmArgs& a) {
  switch (a.w->type()) {
    case WeightType::kF32:
      return GemmAs<V, UnpackFloat<V, &LoadFloats<V>, 4>>(a);
    case WeightType::kF16:
      return GemmAs<V, UnpackFloat<V, &V::LoadHalf, 2>>(a);
    case WeightType::kBF16:
      return GemmAs<V, UnpackFloat<V, &V::LoadBfloat16, 2>>(a);
    case WeightType::kQ8_0:
      return GemmAs<V, UnpackQ8<V>>(a);
    case WeightType::kQ4_0:
      return GemmAs<V, UnpackQ40<V>>(a);
    case WeightType::kQ4_1:
      return GemmAs<V, UnpackQ41<V>>(a);
  }
}

}  // namespace baton::kernels
