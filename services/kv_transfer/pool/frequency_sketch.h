#pragma once

// How often a block was asked for lately, roughly and in little memory: a count-min sketch of four rows whose
// counters are halved after a sample's worth of touches (Einziger, Friedman, Manes: "TinyLFU: A Highly
// Efficient Cache Admission Policy", ACM Transactions on Storage 13(4), 2017). Never under the true count
// since the last halving, up to 15. Not thread-safe.

#include <array>
#include <cstdint>
#include <vector>

#include "common/ids.h"

namespace baton::pool {

class FrequencySketch {
 public:
  // For about `blocks` blocks of interest.
  explicit FrequencySketch(int64_t blocks);

  void Touch(const BlockHash& key);
  int Count(const BlockHash& key) const;

 private:
  static constexpr int kRows = 4;
  size_t Cell(const BlockHash& key, int row) const;
  void Halve();

  uint64_t mask_;
  std::vector<uint8_t> cells_;  // kRows rows of mask_ + 1
  int64_t sample_, touches_ = 0;
};

}  // namespace baton::pool
