#pragma once

// Shared by the kernels' tests: random data, and weight matrices in GGUF's storage with an independent
// reading of them.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "common/half.h"
#include "engine/kernels/kernels.h"

namespace baton::kernels_testing {

inline std::vector<float> RandomFloats(size_t count, uint32_t seed, float scale = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> out(count);
  for (float& value : out) value = normal(random);
  return out;
}

inline std::vector<kernels::Isa> SupportedIsas() {
  std::vector<kernels::Isa> isas;
  for (const kernels::Isa isa : {kernels::Isa::kScalar, kernels::Isa::kAvx2, kernels::Isa::kAvx512}) {
    if (kernels::IsaSupported(isa)) isas.push_back(isa);
  }
  return isas;
}

// A random matrix of a type: its bytes as in a file, and the float32 values that those bytes stand for
// (ggml's formats).
struct StoredMatrix {
  std::vector<std::byte> bytes;
  std::vector<float> values;
};

inline void AppendHalf(StoredMatrix& m, float value) {
  const uint16_t h = FloatToHalf(value);
  const std::byte* p = reinterpret_cast<const std::byte*>(&h);
  m.bytes.insert(m.bytes.end(), p, p + 2);
}

inline void AppendBlock(StoredMatrix& m, kernels::WeightType type, std::mt19937& random) {
  const auto uniform = [&] { return std::uniform_real_distribution<float>(-0.1f, 0.1f)(random); };
  const float d = HalfToFloat(FloatToHalf(uniform()));
  const float min = HalfToFloat(FloatToHalf(uniform()));
  AppendHalf(m, d);
  if (type == kernels::WeightType::kQ4_1) AppendHalf(m, min);
  const size_t first = m.bytes.size();
  for (int i = 0; i < (type == kernels::WeightType::kQ8_0 ? 32 : 16); ++i)
    m.bytes.push_back(std::byte(random() & 255));
  for (int i = 0; i < 32; ++i) {
    const uint32_t byte =
        std::to_integer<uint32_t>(m.bytes[first + (type == kernels::WeightType::kQ8_0 ? i : i % 16)]);
    const uint32_t nibble = i < 16 ? byte & 15 : byte >> 4;
    switch (type) {
      case kernels::WeightType::kQ8_0:
        m.values.push_back(d * static_cast<float>(static_cast<int8_t>(byte)));
        break;
      case kernels::WeightType::kQ4_0:
        m.values.push_back(d * (static_cast<float>(nibble) - 8.0f));
        break;
      default:
        m.values.push_back(d * static_cast<float>(nibble) + min);
        break;  // d q is exact, so this rounds once
    }
  }
}

inline StoredMatrix RandomMatrix(kernels::WeightType type, int64_t rows, int64_t cols, uint32_t seed) {
  StoredMatrix m;
  std::mt19937 random(seed);
  const bool blocks = type != kernels::WeightType::kF32 && type != kernels::WeightType::kF16 &&
                      type != kernels::WeightType::kBF16;
  for (int64_t i = 0; i < rows * cols; i += blocks ? 32 : 1) {
    if (blocks) {
      AppendBlock(m, type, random);
      continue;
    }
    float value = std::normal_distribution<float>(0.0f, 0.1f)(random);
    if (type == kernels::WeightType::kF32) {
      const std::byte* p = reinterpret_cast<const std::byte*>(&value);
      m.bytes.insert(m.bytes.end(), p, p + 4);
    } else {
      const uint16_t h = type == kernels::WeightType::kF16 ? FloatToHalf(value) : FloatToBfloat16(value);
      const std::byte* p = reinterpret_cast<const std::byte*>(&h);
      m.bytes.insert(m.bytes.end(), p, p + 2);
      value = type == kernels::WeightType::kF16 ? HalfToFloat(h) : Bfloat16ToFloat(h);
    }
    m.values.push_back(value);
  }
  return m;
}

}  // namespace baton::kernels_testing
