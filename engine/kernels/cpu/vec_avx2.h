#pragma once

// 16 float lanes in two AVX registers (with FMA and F16C). See vec_scalar.h for the meaning of each
// operation.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace baton::kernels {

struct Vec256 {
  struct F {
    __m256 lo, hi;
  };
  struct U {
    __m256i lo, hi;
  };
  static constexpr int kFusedRows = 4;
  static constexpr int kDenseRows = 6;
  static constexpr int kDensePanels = 1;
  static constexpr int kScoreRows = 6;
  static constexpr int kValueRows = 3;
  static constexpr int kValueVecs = 2;
  static constexpr int FusedPanels(int rows) { return rows <= 1 ? 2 : 1; }

  static F Zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static F Set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static F Load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static void Store(float* p, F v) {
    _mm256_storeu_ps(p, v.lo);
    _mm256_storeu_ps(p + 8, v.hi);
  }
  static F Add(F a, F b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
  static F Sub(F a, F b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
  static F Mul(F a, F b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
  static F Div(F a, F b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
  static F Max(F a, F b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
  static F Min(F a, F b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
  static F Fma(F a, F b, F c) {
    return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
  }

  static __m128i Load128(const std::byte* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
  static __m256i Load256(const std::byte* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static void Store128(std::byte* p, __m128i v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }

  static F LoadHalf(const std::byte* p) {
    return {_mm256_cvtph_ps(Load128(p)), _mm256_cvtph_ps(Load128(p + 16))};
  }
  static __m256 Widen(__m128i bf16) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bf16), 16));
  }
  static F LoadBfloat16(const std::byte* p) { return {Widen(Load128(p)), Widen(Load128(p + 16))}; }
  static F LoadInt8(const std::byte* p) {
    const __m128i bytes = Load128(p);
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
  }
  static void StoreHalf(std::byte* p, F v) {
    Store128(p, _mm256_cvtps_ph(v.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    Store128(p + 16, _mm256_cvtps_ph(v.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static __m128i Narrow(__m256 v) {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i top = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(top, _mm256_set1_epi32(1));
    const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    const __m256i quiet = _mm256_or_si256(top, _mm256_set1_epi32(0x40));
    const __m256i result = _mm256_blendv_epi8(_mm256_srli_epi32(sum, 16), quiet, nan);
    return _mm_packus_epi32(_mm256_castsi256_si128(result), _mm256_extracti128_si256(result, 1));
  }
  static void StoreBfloat16(std::byte* p, F v) {
    Store128(p, Narrow(v.lo));
    Store128(p + 16, Narrow(v.hi));
  }

  static U LoadNibbles(const std::byte* p) { return {Load256(p), Load256(p + 32)}; }
  static U NextNibble(U u) { return {_mm256_srli_epi32(u.lo, 4), _mm256_srli_epi32(u.hi, 4)}; }
  static F Nibble(U u) {
    const __m256i mask = _mm256_set1_epi32(15);
    return {_mm256_cvtepi32_ps(_mm256_and_si256(u.lo, mask)),
            _mm256_cvtepi32_ps(_mm256_and_si256(u.hi, mask))};
  }
  static F NibbleMinus8(U u) { return Sub(Nibble(u), Set1(8.0f)); }

  static F KeepFirst(F v, int n, float rest) {
    const __m256i count = _mm256_set1_epi32(n);
    const __m256i lo = _mm256_cmpgt_epi32(count, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    const __m256i hi = _mm256_cmpgt_epi32(count, _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15));
    const __m256 other = _mm256_set1_ps(rest);
    return {_mm256_blendv_ps(other, v.lo, _mm256_castsi256_ps(lo)),
            _mm256_blendv_ps(other, v.hi, _mm256_castsi256_ps(hi))};
  }
  static __m256 AddExponent8(__m256 v, __m256 shifted) {
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(v), _mm256_slli_epi32(_mm256_castps_si256(shifted), 23)));
  }
  static F AddExponent(F v, F shifted) {
    return {AddExponent8(v.lo, shifted.lo), AddExponent8(v.hi, shifted.hi)};
  }
  static float ReduceAdd(F v) {
    const __m256 a = _mm256_add_ps(v.lo, v.hi);
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
  }
  static float ReduceMax(F v) {
    const __m256 a = _mm256_max_ps(v.lo, v.hi);
    const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
  }

  // Eight rows of eight lanes; out rows are 16 apart.
  static void Transpose8(const __m256 (&r)[8], float* out) {
    __m256 a[8], b[8];
    for (int i = 0; i < 4; ++i) {
      a[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
      a[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 2; ++j) {
        b[4 * i + 2 * j] = _mm256_shuffle_ps(a[4 * i + j], a[4 * i + 2 + j], 0x44);
        b[4 * i + 2 * j + 1] = _mm256_shuffle_ps(a[4 * i + j], a[4 * i + 2 + j], 0xee);
      }
    }
    for (int c = 0; c < 4; ++c) {
      _mm256_storeu_ps(out + 16 * c, _mm256_permute2f128_ps(b[c], b[4 + c], 0x20));
      _mm256_storeu_ps(out + 16 * (4 + c), _mm256_permute2f128_ps(b[c], b[4 + c], 0x31));
    }
  }
  static void Transpose(const F (&rows)[16], float* out) {
    for (int half = 0; half < 2; ++half) {
      __m256 lo[8], hi[8];
      for (int i = 0; i < 8; ++i) {
        lo[i] = rows[8 * half + i].lo;
        hi[i] = rows[8 * half + i].hi;
      }
      Transpose8(lo, out + 8 * half);
      Transpose8(hi, out + 8 * half + 128);
    }
  }
};

}  // namespace baton::kernels
