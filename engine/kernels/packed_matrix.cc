#include "engine/kernels/packed_matrix.h"

#include <cmath>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/half.h"
#include "common/status_macros.h"

namespace baton::kernels {
namespace {

constexpr int kBlock = 32;

// One block of 32 (or one element) as stored in the file, and what a panel keeps of it per block and row.
struct Format {
  int block = 1;
  size_t block_bytes = 0;
  size_t scale_bytes = 0;  // per block and row
  size_t quant_bytes = 0;  // per block and row
};

Format FormatOf(WeightType type) {
  switch (type) {
    case WeightType::kF32:
      return {1, 4, 0, 4};
    case WeightType::kF16:
    case WeightType::kBF16:
      return {1, 2, 0, 2};
    case WeightType::kQ8_0:
      return {kBlock, 34, 2, 32};
    case WeightType::kQ4_0:
      return {kBlock, 18, 2, 16};
    case WeightType::kQ4_1:
      return {kBlock, 20, 4, 16};
  }
  return {};
}

void PackScales(const std::byte* block, size_t count, int64_t b, int lane, std::byte* scales) {
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(scales + ((b * count + i) * kPanelRows + lane) * 2, block + 2 * i, 2);
  }
}

// The file keeps column j in the low and j + 16 in the high nibble of byte j.
void PackNibbles(const std::byte* bytes, int64_t b, int lane, std::byte* quants) {
  for (int group = 0; group < 4; ++group) {
    uint32_t word = 0;
    for (int i = 0; i < 8; ++i) {
      const int col = group * 8 + i;
      const uint32_t byte = std::to_integer<uint32_t>(bytes[col % 16]);
      word |= (col < 16 ? byte & 15u : byte >> 4) << (4 * i);
    }
    std::memcpy(quants + ((b * 4 + group) * kPanelRows + lane) * 4, &word, 4);
  }
}

void PackRow(WeightType type, const Format& format, const std::byte* row, int64_t cols, int lane,
             std::byte* scales, std::byte* quants) {
  for (int64_t b = 0; b < cols / format.block; ++b) {
    const std::byte* block = row + b * format.block_bytes;
    const std::byte* body = block + format.scale_bytes;
    PackScales(block, format.scale_bytes / 2, b, lane, scales);
    if (type == WeightType::kQ4_0 || type == WeightType::kQ4_1) {
      PackNibbles(body, b, lane, quants);
    } else if (type == WeightType::kQ8_0) {
      for (int i = 0; i < kBlock; ++i) quants[(b * kBlock + i) * kPanelRows + lane] = body[i];
    } else {
      std::memcpy(quants + (b * kPanelRows + lane) * format.quant_bytes, body, format.quant_bytes);
    }
  }
}

template <typename T>
T At(const std::byte* data, int64_t index) {
  T value;
  std::memcpy(&value, data + index * sizeof(T), sizeof(T));
  return value;
}

float Nibble(const std::byte* quants, int64_t col, int lane) {
  const uint32_t word = At<uint32_t>(quants, (col / 8) * kPanelRows + lane);
  return static_cast<float>((word >> (4 * (col % 8))) & 15u);
}

float ScaleAt(const std::byte* scales, int64_t index, int lane) {
  return HalfToFloat(At<uint16_t>(scales, index * kPanelRows + lane));
}

}  // namespace

absl::StatusOr<PackedMatrix> PackedMatrix::Pack(WeightType type, int64_t rows, int64_t cols,
                                                absl::Span<const std::byte> data) {
  const Format format = FormatOf(type);
  const int multiple = format.block > 1 ? format.block : 8;
  if (rows <= 0 || cols <= 0 || cols % multiple != 0) {
    return absl::InvalidArgumentError(absl::StrCat("a weight matrix of ", rows, " rows and ", cols,
                                                   " columns; columns must be a multiple of ", multiple));
  }
  const size_t blocks = cols / format.block;
  const size_t row_bytes = blocks * format.block_bytes;
  if (data.size() / row_bytes != static_cast<size_t>(rows) || data.size() % row_bytes != 0) {
    return absl::InvalidArgumentError(absl::StrCat("a weight matrix of ", rows, " rows of ", row_bytes,
                                                   " bytes has ", data.size(), " bytes"));
  }
  PackedMatrix out;
  out.type_ = type;
  out.rows_ = rows;
  out.cols_ = cols;
  out.scale_bytes_ = (blocks * format.scale_bytes * kPanelRows + 63) / 64 * 64;
  out.panel_bytes_ = out.scale_bytes_ + (blocks * format.quant_bytes * kPanelRows + 63) / 64 * 64;
  BATON_ASSIGN_OR_RETURN(out.data_, HugeBuffer::Allocate(out.panel_bytes_ * out.panels()));
  for (int64_t row = 0; row < rows; ++row) {
    std::byte* scales = out.data_.data() + row / kPanelRows * out.panel_bytes_;
    PackRow(type, format, data.data() + row * row_bytes, cols, static_cast<int>(row % kPanelRows), scales,
            scales + out.scale_bytes_);
  }
  return out;
}

void PackedMatrix::DequantizeRow(int64_t row, float* out) const {
  const std::byte* scale = scales(row / kPanelRows);
  const std::byte* quant = quants(row / kPanelRows);
  const int lane = static_cast<int>(row % kPanelRows);
  for (int64_t k = 0; k < cols_; ++k) {
    const int64_t at = k * kPanelRows + lane;
    switch (type_) {
      case WeightType::kF32:
        out[k] = At<float>(quant, at);
        break;
      case WeightType::kF16:
        out[k] = HalfToFloat(At<uint16_t>(quant, at));
        break;
      case WeightType::kBF16:
        out[k] = Bfloat16ToFloat(At<uint16_t>(quant, at));
        break;
      case WeightType::kQ8_0:
        out[k] = ScaleAt(scale, k / kBlock, lane) * At<int8_t>(quant, at);
        break;
      case WeightType::kQ4_0:
        out[k] = ScaleAt(scale, k / kBlock, lane) * (Nibble(quant, k, lane) - 8.0f);
        break;
      case WeightType::kQ4_1:
        out[k] = std::fma(ScaleAt(scale, k / kBlock * 2, lane), Nibble(quant, k, lane),
                          ScaleAt(scale, k / kBlock * 2 + 1, lane));
        break;
    }
  }
}

}  // namespace baton::kernels
