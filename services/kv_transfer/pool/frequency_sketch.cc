#include "services/kv_transfer/pool/frequency_sketch.h"

#include <algorithm>
#include <bit>

namespace baton::pool {
namespace {

constexpr uint8_t kMost = 15;
constexpr int64_t kTouchesPerBlock = 10;  // before counts are halved

}  // namespace

FrequencySketch::FrequencySketch(int64_t blocks)
    : mask_(std::bit_ceil(static_cast<uint64_t>(std::clamp<int64_t>(blocks, 1024, int64_t{1} << 24)) * 4) -
            1),
      cells_((mask_ + 1) * kRows),
      sample_(std::max<int64_t>(blocks, 16) * kTouchesPerBlock) {}

// Keys are hashes already: each row takes other bits of them.
size_t FrequencySketch::Cell(const BlockHash& key, int row) const {
  const uint64_t bits = row < 2 ? key.hi : key.lo;
  return row * (mask_ + 1) + ((row % 2 == 0 ? bits : bits >> 32) & mask_);
}

void FrequencySketch::Touch(const BlockHash& key) {
  const int count = Count(key);
  if (count < kMost) {
    for (int row = 0; row < kRows; ++row) {
      uint8_t& cell = cells_[Cell(key, row)];
      if (cell == count) ++cell;
    }
  }
  if (++touches_ >= sample_) Halve();
}

int FrequencySketch::Count(const BlockHash& key) const {
  uint8_t least = kMost;
  for (int row = 0; row < kRows; ++row) least = std::min(least, cells_[Cell(key, row)]);
  return least;
}

void FrequencySketch::Halve() {
  for (uint8_t& cell : cells_) cell /= 2;
  touches_ /= 2;
}

}  // namespace baton::pool
