#include <cstring>
#include <limits>

#include "gtest/gtest.h"
#include "tests/unit/engine/kernels/kernels_testing.h"

namespace baton::kernels {
namespace {

using kernels_testing::RandomFloats;
using kernels_testing::SupportedIsas;

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(RmsNorm, IsThatOfItsDefinition) {
  for (const int64_t n : {16, 64, 576}) {
    const std::vector<float> x = RandomFloats(n, 1, 3.0f), w = RandomFloats(n, 2);
    double squares = 0;
    for (const float value : x) squares += double{value} * value;
    std::vector<float> first(n);
    Kernels(Isa::kScalar).rms_norm(x.data(), w.data(), 1e-5f, n, first.data());
    for (int64_t i = 0; i < n; ++i) ASSERT_NEAR(first[i], x[i] / std::sqrt(squares / n + 1e-5) * w[i], 2e-6);
    for (const Isa isa : SupportedIsas()) {
      std::vector<float> in_place = x;
      Kernels(isa).rms_norm(in_place.data(), w.data(), 1e-5f, n, in_place.data());
      ASSERT_TRUE(SameBits(in_place, first)) << IsaName(isa).data();
    }
  }
}

TEST(SiluMul, IsAccurateFromEndToEndOfTheRange) {
  std::vector<float> gate, up;
  for (float x = -120.0f; x <= 120.0f; x += 0.0625f) gate.push_back(x);
  for (const float x : RandomFloats(4096, 3, 1e-3f)) gate.push_back(x);
  gate.push_back(std::numeric_limits<float>::max());
  gate.push_back(-std::numeric_limits<float>::max());
  gate.resize((gate.size() + 15) / 16 * 16);
  up = RandomFloats(gate.size(), 4);
  std::vector<float> first = gate;
  Kernels(Isa::kScalar).silu_mul(first.data(), up.data(), first.size());
  for (size_t i = 0; i < gate.size(); ++i) {
    if (std::abs(gate[i]) > 80.0f) continue;
    const double want = gate[i] / (1.0 + std::exp(-double{gate[i]})) * up[i];
    ASSERT_NEAR(first[i], want, std::abs(want) * 4e-7) << gate[i];
  }
  for (const float value : first) ASSERT_FALSE(std::isnan(value));
  for (const Isa isa : SupportedIsas()) {
    std::vector<float> got = gate;
    Kernels(isa).silu_mul(got.data(), up.data(), got.size());
    ASSERT_TRUE(SameBits(got, first)) << IsaName(isa).data();
  }
}

TEST(Rope, RotatesAdjacentPairs) {
  const std::vector<float> x = RandomFloats(64, 5);
  std::vector<float> cos_sin;
  for (int i = 0; i < 24; ++i) {
    cos_sin.push_back(static_cast<float>(std::cos(0.3 * i)));
    cos_sin.push_back(static_cast<float>(std::sin(0.3 * i)));
  }
  std::vector<float> first = x;
  Kernels(Isa::kScalar).rope(first.data(), cos_sin.data(), 24);
  for (int i = 0; i < 32; ++i) {
    const double c = i < 24 ? std::cos(0.3 * i) : 1.0, s = i < 24 ? std::sin(0.3 * i) : 0.0;
    ASSERT_NEAR(first[2 * i], x[2 * i] * c - x[2 * i + 1] * s, 1e-6);
    ASSERT_NEAR(first[2 * i + 1], x[2 * i] * s + x[2 * i + 1] * c, 1e-6);
  }
  for (const Isa isa : SupportedIsas()) {
    std::vector<float> got = x;
    Kernels(isa).rope(got.data(), cos_sin.data(), 24);
    ASSERT_TRUE(SameBits(got, first)) << IsaName(isa).data();
  }
}

TEST(Half, RoundTripsAndRoundsToNearestEven) {
  for (uint32_t h = 0; h < 65536; ++h) {
    const bool nan = (h & 0x7c00) == 0x7c00 && (h & 0x3ff) != 0;
    ASSERT_EQ(FloatToHalf(HalfToFloat(h)), nan ? h | 0x200 : h);
  }
  EXPECT_EQ(FloatToHalf(1.0f), 0x3c00);
  EXPECT_EQ(FloatToHalf(1.0f + 0x1p-11f), 0x3c00);      // a tie goes to the even one
  EXPECT_EQ(FloatToHalf(1.0f + 3 * 0x1p-11f), 0x3c02);  // likewise
  EXPECT_EQ(FloatToHalf(65519.0f), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0f), 0x7c00);
  EXPECT_EQ(FloatToHalf(0x1p-25f), 0x0000);
  EXPECT_EQ(FloatToHalf(0x1.8p-25f), 0x0001);
  EXPECT_EQ(FloatToBfloat16(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(FloatToBfloat16(1.0f + 3 * 0x1p-8f), 0x3f82);
}

TEST(StoreKv, EveryInstructionSetStoresTheSameBytes) {
  std::vector<float> x = RandomFloats(1 << 16, 6);
  std::mt19937 random(7);
  for (size_t i = 0; i < x.size() / 2; ++i) {  // any bit pattern at all
    const uint32_t bits = random();
    std::memcpy(&x[i], &bits, 4);
  }
  for (const KvDtype dtype : {KvDtype::kF32, KvDtype::kF16, KvDtype::kBF16}) {
    std::vector<std::byte> first(x.size() * 4), got(x.size() * 4);
    Kernels(Isa::kScalar).store_kv(x.data(), x.size(), dtype, first.data());
    for (const Isa isa : SupportedIsas()) {
      Kernels(isa).store_kv(x.data(), x.size(), dtype, got.data());
      ASSERT_TRUE(got == first) << IsaName(isa).data();
    }
  }
}

}  // namespace
}  // namespace baton::kernels
