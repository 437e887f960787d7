#pragma once

// Norm, activation, rotary embedding and rounding for a vector type V (vec_*.h).

#include "engine/kernels/kernels.h"

namespace baton::kernels {

// exp(x) within 2 ulp for x in [-86, 88]; arguments outside are moved to the nearer bound. x = n ln 2 + r
// with |r| <= ln 2 / 2, then exp(r) by its Taylor series to the seventh power.
template <class V>
typename V::F Exp(typename V::F x) {
  using F = typename V::F;
  const F magic =
      V::Set1(12582912.0f);  // 1.5 * 2^23: adding it leaves the nearest integer in the lowest bits
  x = V::Min(V::Max(x, V::Set1(-86.0f)), V::Set1(88.0f));
  const F shifted = V::Fma(x, V::Set1(1.44269504f), magic);
  const F n = V::Sub(shifted, magic);
  F r = V::Fma(n, V::Set1(-0.693359375f), x);
  r = V::Fma(n, V::Set1(2.12194440e-4f), r);
  F p = V::Set1(1.0f / 5040.0f);
  p = V::Fma(p, r, V::Set1(1.0f / 720.0f));
  p = V::Fma(p, r, V::Set1(1.0f / 120.0f));
  p = V::Fma(p, r, V::Set1(1.0f / 24.0f));
  p = V::Fma(p, r, V::Set1(1.0f / 6.0f));
  p = V::Fma(p, r, V::Set1(0.5f));
  p = V::Fma(p, r, V::Set1(1.0f));
  p = V::Fma(p, r, V::Set1(1.0f));
  return V::AddExponent(p, shifted);
}

template <class V>
void RmsNorm(const float* x, const float* w, float eps, int64_t n, float* y) {
  typename V::F squares = V::Zero();
  for (int64_t i = 0; i < n; i += 16) {
    const typename V::F v = V::Load(x + i);
    squares = V::Fma(v, v, squares);
  }
  const float mean = V::ReduceAdd(squares) / static_cast<float>(n);
  const typename V::F inverse = V::Set1(1.0f / __builtin_sqrtf(mean + eps));
  for (int64_t i = 0; i < n; i += 16) {
    V::Store(y + i, V::Mul(V::Mul(V::Load(x + i), inverse), V::Load(w + i)));
  }
}

template <class V>
void SiluMul(float* gate, const float* up, int64_t n) {
  const typename V::F one = V::Set1(1.0f);
  for (int64_t i = 0; i < n; i += 16) {
    const typename V::F g = V::Load(gate + i);
    const typename V::F e = Exp<V>(V::Sub(V::Zero(), g));
    V::Store(gate + i, V::Mul(V::Div(g, V::Add(one, e)), V::Load(up + i)));
  }
}

// The fmas are written out because gcc fuses a multiplication into alternating additions even with
// -ffp-contract=off.
template <class V>
void Rope(float* head, const float* cos_sin, int pairs) {
  for (int i = 0; i < pairs; ++i) {
    const float c = cos_sin[2 * i], s = cos_sin[2 * i + 1];
    const float x = head[2 * i], y = head[2 * i + 1];
    head[2 * i] = __builtin_fmaf(x, c, -(y * s));
    head[2 * i + 1] = __builtin_fmaf(x, s, y * c);
  }
}

template <class V>
void StoreKv(const float* x, int64_t n, KvDtype dtype, std::byte* out) {
  for (int64_t i = 0; i < n; i += 16) {
    const typename V::F v = V::Load(x + i);
    if (dtype == KvDtype::kF32) {
      V::Store(reinterpret_cast<float*>(out) + i, v);
    } else if (dtype == KvDtype::kF16) {
      V::StoreHalf(out + 2 * i, v);
    } else {
      V::StoreBfloat16(out + 2 * i, v);
    }
  }
}

}  // namespace baton::kernels
