#pragma once

// 16 float lanes in one AVX-512 register. See vec_scalar.h for the meaning of each operation.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace baton::kernels {

struct Vec512 {
  using F = __m512;
  using U = __m512i;
  // Register tiles: see gemm_impl.h and attention_impl.h.
  static constexpr int kFusedRows = 8;
  static constexpr int kDenseRows = 12;
  static constexpr int kDensePanels = 2;
  static constexpr int kScoreRows = 8;
  static constexpr int kValueRows = 4;
  static constexpr int kValueVecs = 4;
  static constexpr int FusedPanels(int rows) { return rows <= 2 ? 4 : 2; }

  static F Zero() { return _mm512_setzero_ps(); }
  static F Set1(float x) { return _mm512_set1_ps(x); }
  static F Load(const float* p) { return _mm512_loadu_ps(p); }
  static void Store(float* p, F v) { _mm512_storeu_ps(p, v); }
  static F Add(F a, F b) { return _mm512_add_ps(a, b); }
  static F Sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F Mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F Div(F a, F b) { return _mm512_div_ps(a, b); }
  static F Max(F a, F b) { return _mm512_max_ps(a, b); }
  static F Min(F a, F b) { return _mm512_min_ps(a, b); }
  static F Fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }

  static F LoadHalf(const std::byte* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static F LoadBfloat16(const std::byte* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }
  static F LoadInt8(const std::byte* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static void StoreHalf(std::byte* p, F v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static void StoreBfloat16(std::byte* p, F v) {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i top = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(top, _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    const __m512i result =
        _mm512_mask_or_epi32(_mm512_srli_epi32(rounded, 16), nan, top, _mm512_set1_epi32(0x40));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(result));
  }

  static U LoadNibbles(const std::byte* p) { return _mm512_loadu_si512(p); }
  static U NextNibble(U u) { return _mm512_srli_epi32(u, 4); }
  // A permutation reads the low four bits of each index only.
  static F Nibble(U u) {
    return _mm512_permutexvar_ps(u, _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  }
  static F NibbleMinus8(U u) {
    return _mm512_permutexvar_ps(u, _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7));
  }

  static F KeepFirst(F v, int n, float rest) {
    const __mmask16 mask = n <= 0 ? 0 : n >= 16 ? 0xffff : static_cast<__mmask16>((1u << n) - 1u);
    return _mm512_mask_mov_ps(_mm512_set1_ps(rest), mask, v);
  }
  static F AddExponent(F v, F shifted) {
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_castps_si512(v), _mm512_slli_epi32(_mm512_castps_si512(shifted), 23)));
  }
  static float ReduceAdd(F v) {
    const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
  }
  static float ReduceMax(F v) {
    const __m256 a = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
  }

  static void Transpose(const F (&rows)[16], float* out) {
    F a[16], b[16];
    for (int i = 0; i < 8; ++i) {
      a[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
      a[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
    }
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 2; ++j) {
        const __m512d lo = _mm512_castps_pd(a[4 * i + j]), hi = _mm512_castps_pd(a[4 * i + 2 + j]);
        b[4 * i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(lo, hi));
        b[4 * i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(lo, hi));
      }
    }
    // b[4 i + c] holds, in each 128-bit part p, column 4 p + c of rows 4 i .. 4 i + 3.
    for (int c = 0; c < 4; ++c) {
      const F p01 = _mm512_shuffle_f32x4(b[c], b[4 + c], 0x44),
              p23 = _mm512_shuffle_f32x4(b[c], b[4 + c], 0xee);
      const F q01 = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0x44);
      const F q23 = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0xee);
      Store(out + 16 * c, _mm512_shuffle_f32x4(p01, q01, 0x88));
      Store(out + 16 * (4 + c), _mm512_shuffle_f32x4(p01, q01, 0xdd));
      Store(out + 16 * (8 + c), _mm512_shuffle_f32x4(p23, q23, 0x88));
      Store(out + 16 * (12 + c), _mm512_shuffle_f32x4(p23, q23, 0xdd));
    }
  }
};

}  // namespace baton::kernels
