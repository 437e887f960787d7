#include "common/kv_convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace baton {
namespace {

std::vector<float> Through(KvDtype dtype, const std::vector<float>& values) {
  std::vector<std::byte> stored(values.size() * KvDtypeBytes(dtype));
  std::vector<float> back(values.size());
  const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
  ConvertKv(KvDtype::kF32, {bytes, values.size() * 4}, dtype, absl::MakeSpan(stored));
  ConvertKv(dtype, stored, KvDtype::kF32, {reinterpret_cast<std::byte*>(back.data()), back.size() * 4});
  return back;
}

TEST(KvConvertTest, WhatFitsIsExact) {
  const std::vector<float> values = {
      0.0f, -0.0f, 1.0f, -2.5f, 0.15625f, 96.0f, std::numeric_limits<float>::infinity()};
  for (const KvDtype dtype : {KvDtype::kF32, KvDtype::kF16, KvDtype::kBF16}) {
    const std::vector<float> back = Through(dtype, values);
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(back[i], values[i]);
      EXPECT_EQ(std::signbit(back[i]), std::signbit(values[i]));
    }
  }
}

TEST(KvConvertTest, RoundsToNearestEven) {
  EXPECT_EQ(Through(KvDtype::kF16, {1.0f + 0x1p-11f, 1.0f + 3 * 0x1p-11f, 70000.0f}),
            (std::vector<float>{1.0f, 1.0f + 0x1p-9f, std::numeric_limits<float>::infinity()}));
  EXPECT_EQ(Through(KvDtype::kBF16, {1.0f + 0x1p-8f, 1.0f + 3 * 0x1p-8f, 70000.0f}),
            (std::vector<float>{1.0f, 1.0f + 0x1p-6f, 70144.0f}));
}

TEST(KvConvertTest, StopsAtTheShorter) {
  std::vector<std::byte> in(8), out(3, std::byte{7});
  ConvertKv(KvDtype::kF32, in, KvDtype::kF16, absl::MakeSpan(out));
  EXPECT_EQ(out, (std::vector<std::byte>{std::byte{0}, std::byte{0}, std::byte{7}}));
}

}  // namespace
}  // namespace baton
