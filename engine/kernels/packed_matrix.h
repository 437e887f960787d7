#pragma once

// A weight matrix repacked once for the kernels: `rows` outputs by `cols` inputs, in panels of 16 output
// rows. Per input, the 16 rows' elements stand side by side, so a vector lane is an output row and never a
// part of a sum.
//
// Panel p holds rows [16 p, 16 p + 16), zero-filled past the last; in it, by type:
//   F32, F16, BF16   [col][16]
//   Q8_0             scales [col / 32][16] f16          quants [col][16] int8             w = d q
//   Q4_0             scales [col / 32][16] f16          quants [col / 8][16] 8 nibbles    w = d (q - 8)
//   Q4_1             scales [col / 32][d, m][16] f16    quants as Q4_0                    w = fma(d, q, m)
// Eight nibbles are a little-endian uint32, the lowest column in the lowest bits. The d q products are exact
// in float32.

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/kernels/huge_buffer.h"

namespace baton::kernels {

enum class WeightType { kF32, kF16, kBF16, kQ8_0, kQ4_0, kQ4_1 };

inline constexpr int kPanelRows = 16;

class PackedMatrix {
 public:
  // `data` holds rows of `cols` elements as GGUF stores them. cols must be a multiple of 32 for quantised
  // types, of 8 for others; InvalidArgument otherwise, or if `data` has another size.
  static absl::StatusOr<PackedMatrix> Pack(WeightType type, int64_t rows, int64_t cols,
                                           absl::Span<const std::byte> data);

  PackedMatrix() = default;

  WeightType type() const { return type_; }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t panels() const { return (rows_ + kPanelRows - 1) / kPanelRows; }
  size_t bytes() const { return data_.size(); }

  const std::byte* scales(int64_t panel) const { return data_.data() + panel * panel_bytes_; }
  const std::byte* quants(int64_t panel) const { return scales(panel) + scale_bytes_; }

  // Row `row` in float32, exactly as the kernels see it; out[cols]. row must be in [0, rows).
  void DequantizeRow(int64_t row, float* out) const;

 private:
  WeightType type_ = WeightType::kF32;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
  size_t scale_bytes_ = 0;  // per panel
  size_t panel_bytes_ = 0;
  HugeBuffer data_;
};

}  // namespace baton::kernels
