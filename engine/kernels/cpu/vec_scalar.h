#pragma once

// 16 float lanes as an array: the reference that the vector versions must equal bit for bit, on any
// processor.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/half.h"

namespace baton::kernels {

struct VecScalar {
  struct F {
    float v[16];
  };
  struct U {
    uint32_t v[16];
  };
  static constexpr int kFusedRows = 2;
  static constexpr int kDenseRows = 4;
  static constexpr int kDensePanels = 1;
  static constexpr int kScoreRows = 1;
  static constexpr int kValueRows = 1;
  static constexpr int kValueVecs = 1;
  static constexpr int FusedPanels(int) { return 1; }

  template <typename Fn>
  static F Map(Fn fn) {
    F out;
    for (int i = 0; i < 16; ++i) out.v[i] = fn(i);
    return out;
  }
  template <typename T>
  static T At(const std::byte* p, int i) {
    T value;
    std::memcpy(&value, p + i * sizeof(T), sizeof(T));
    return value;
  }

  static F Zero() { return Set1(0.0f); }
  static F Set1(float x) {
    return Map([&](int) { return x; });
  }
  static F Load(const float* p) {
    return Map([&](int i) { return p[i]; });
  }
  static void Store(float* p, F a) { std::memcpy(p, a.v, sizeof(a.v)); }
  static F Add(F a, F b) {
    return Map([&](int i) { return a.v[i] + b.v[i]; });
  }
  static F Sub(F a, F b) {
    return Map([&](int i) { return a.v[i] - b.v[i]; });
  }
  static F Mul(F a, F b) {
    return Map([&](int i) { return a.v[i] * b.v[i]; });
  }
  static F Div(F a, F b) {
    return Map([&](int i) { return a.v[i] / b.v[i]; });
  }
  // As the processor's: the second operand if either is a NaN.
  static F Max(F a, F b) {
    return Map([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
  }
  static F Min(F a, F b) {
    return Map([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
  }
  static F Fma(F a, F b, F c) {
    return Map([&](int i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); });
  }

  static F LoadHalf(const std::byte* p) {
    return Map([&](int i) { return HalfToFloat(At<uint16_t>(p, i)); });
  }
  static F LoadBfloat16(const std::byte* p) {
    return Map([&](int i) { return Bfloat16ToFloat(At<uint16_t>(p, i)); });
  }
  static F LoadInt8(const std::byte* p) {
    return Map([&](int i) { return static_cast<float>(At<int8_t>(p, i)); });
  }
  static void StoreHalf(std::byte* p, F a) {
    for (int i = 0; i < 16; ++i) {
      const uint16_t h = FloatToHalf(a.v[i]);
      std::memcpy(p + 2 * i, &h, 2);
    }
  }
  static void StoreBfloat16(std::byte* p, F a) {
    for (int i = 0; i < 16; ++i) {
      const uint16_t h = FloatToBfloat16(a.v[i]);
      std::memcpy(p + 2 * i, &h, 2);
    }
  }

  // 16 words of 8 nibbles; Nibble reads the lowest, NextNibble drops it.
  static U LoadNibbles(const std::byte* p) {
    U u;
    std::memcpy(u.v, p, sizeof(u.v));
    return u;
  }
  static U NextNibble(U u) {
    for (uint32_t& word : u.v) word >>= 4;
    return u;
  }
  static F Nibble(U u) {
    return Map([&](int i) { return static_cast<float>(u.v[i] & 15u); });
  }
  static F NibbleMinus8(U u) {
    return Map([&](int i) { return static_cast<float>(u.v[i] & 15u) - 8.0f; });
  }

  // Lanes from n on become `rest`.
  static F KeepFirst(F a, int n, float rest) {
    return Map([&](int i) { return i < n ? a.v[i] : rest; });
  }
  // Adds the integer in the lowest bits of `shifted` to the exponent of `a`.
  static F AddExponent(F a, F shifted) {
    return Map([&](int i) {
      return std::bit_cast<float>(std::bit_cast<uint32_t>(a.v[i]) +
                                  (std::bit_cast<uint32_t>(shifted.v[i]) << 23));
    });
  }
  // Lane i takes lane i + 8, then + 4, + 2, + 1.
  static float ReduceAdd(F a) {
    for (int half = 8; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) a.v[i] = a.v[i] + a.v[i + half];
    }
    return a.v[0];
  }
  static float ReduceMax(F a) {
    for (int half = 8; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) a.v[i] = a.v[i] > a.v[i + half] ? a.v[i] : a.v[i + half];
    }
    return a.v[0];
  }
  // out[16 j + i] = rows[i] lane j
  static void Transpose(const F (&rows)[16], float* out) {
    for (int i = 0; i < 16; ++i) {
      for (int j = 0; j < 16; ++j) out[16 * j + i] = rows[i].v[j];
    }
  }
};

}  // namespace baton::kernels
