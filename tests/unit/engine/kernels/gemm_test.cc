#include <numeric>

#include "gtest/gtest.h"
#include "tests/unit/engine/kernels/kernels_testing.h"

namespace baton::kernels {
namespace {

using kernels_testing::RandomFloats;
using kernels_testing::RandomMatrix;
using kernels_testing::StoredMatrix;
using kernels_testing::SupportedIsas;

constexpr WeightType kTypes[] = {WeightType::kF32,  WeightType::kF16,  WeightType::kBF16,
                                 WeightType::kQ8_0, WeightType::kQ4_0, WeightType::kQ4_1};

class GemmTest : public testing::TestWithParam<WeightType> {};

// The definition of docs/exactness.md, written down as plainly as can be.
std::vector<float> Reference(const StoredMatrix& w, int64_t rows, int64_t cols, const std::vector<float>& x,
                             int64_t m, const std::vector<float>* add) {
  std::vector<float> y(m * rows);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t r = 0; r < rows; ++r) {
      float sum = 0;
      for (int64_t k = 0; k < cols; ++k) sum = std::fma(x[i * cols + k], w.values[r * cols + k], sum);
      y[i * rows + r] = add != nullptr ? (*add)[i * rows + r] + sum : sum;
    }
  }
  return y;
}

std::vector<float> Multiply(Isa isa, const PackedMatrix& w, const std::vector<float>& x, int64_t m,
                            const std::vector<float>* add) {
  std::vector<float> y = add != nullptr ? *add : std::vector<float>(m * w.rows(), -1.0f);
  std::vector<float> scratch(GemmScratchFloats(w.cols()) + 16);
  Kernels(isa).gemm({.w = &w,
                     .panel_begin = 0,
                     .panel_end = w.panels(),
                     .x = x.data(),
                     .ldx = w.cols(),
                     .m = m,
                     .y = y.data(),
                     .ldy = w.rows(),
                     .add = add != nullptr,
                     .scratch = scratch.data()});
  return y;
}

TEST_P(GemmTest, IsOneFmaChainForEveryBatchAndInstructionSet) {
  for (const int64_t rows : {5, 16, 48, 151}) {
    const int64_t cols = 96;
    const StoredMatrix stored = RandomMatrix(GetParam(), rows, cols, 1);
    const auto w = PackedMatrix::Pack(GetParam(), rows, cols, stored.bytes);
    ASSERT_TRUE(w.ok()) << w.status();
    for (const int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 25, 40}) {
      const std::vector<float> x = RandomFloats(m * cols, 2);
      const std::vector<float> before = RandomFloats(m * rows, 3);
      const std::vector<float> want = Reference(stored, rows, cols, x, m, nullptr);
      const std::vector<float> want_added = Reference(stored, rows, cols, x, m, &before);
      for (const Isa isa : SupportedIsas()) {
        ASSERT_EQ(Multiply(isa, *w, x, m, nullptr), want)
            << IsaName(isa).data() << " " << rows << " rows, batch " << m;
        ASSERT_EQ(Multiply(isa, *w, x, m, &before), want_added)
            << IsaName(isa).data() << " " << rows << " rows, batch " << m;
      }
    }
  }
}

TEST_P(GemmTest, PanelRangesWriteOnlyTheirOutputs) {
  const int64_t rows = 90, cols = 64, m = 3;
  const StoredMatrix stored = RandomMatrix(GetParam(), rows, cols, 4);
  const auto w = PackedMatrix::Pack(GetParam(), rows, cols, stored.bytes);
  ASSERT_TRUE(w.ok()) << w.status();
  const std::vector<float> x = RandomFloats(m * cols, 5);
  const std::vector<float> want = Reference(stored, rows, cols, x, m, nullptr);
  for (const Isa isa : SupportedIsas()) {
    std::vector<float> y(m * rows, 7.0f);
    std::vector<float> scratch(GemmScratchFloats(cols));
    Kernels(isa).gemm({&*w, 2, 5, x.data(), cols, m, y.data(), rows, false, scratch.data()});
    for (int64_t i = 0; i < m * rows; ++i) {
      const bool inside = i % rows >= 32 && i % rows < 80;
      ASSERT_EQ(y[i], inside ? want[i] : 7.0f) << i;
    }
  }
}

TEST_P(GemmTest, DequantizedRowsAreTheStoredValues) {
  const int64_t rows = 37, cols = 160;
  const StoredMatrix stored = RandomMatrix(GetParam(), rows, cols, 6);
  const auto w = PackedMatrix::Pack(GetParam(), rows, cols, stored.bytes);
  ASSERT_TRUE(w.ok()) << w.status();
  std::vector<float> row(cols);
  for (int64_t r = 0; r < rows; ++r) {
    w->DequantizeRow(r, row.data());
    ASSERT_EQ(row,
              std::vector<float>(stored.values.begin() + r * cols, stored.values.begin() + (r + 1) * cols));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, GemmTest, testing::ValuesIn(kTypes));

TEST(PackedMatrix, RefusesShapesItCannotHold) {
  const std::vector<std::byte> bytes(18 * 4);
  EXPECT_TRUE(PackedMatrix::Pack(WeightType::kQ4_0, 4, 32, bytes).ok());
  EXPECT_EQ(PackedMatrix::Pack(WeightType::kQ4_0, 4, 31, bytes).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PackedMatrix::Pack(WeightType::kQ4_0, 5, 32, bytes).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PackedMatrix::Pack(WeightType::kQ4_0, 0, 32, bytes).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PackedMatrix::Pack(WeightType::kQ4_0, 4, -32, bytes).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PackedMatrix::Pack(WeightType::kF32, 1, 20, bytes).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace baton::kernels
