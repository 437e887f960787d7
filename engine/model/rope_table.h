#pragma once

// cos and sin of every rotary angle, computed once (Su et al. 2021, arXiv 2104.09864). As in the published
// Llama code the frequencies and angles are float32: freq_i = base^(-2i/dims) / factor_i, angle = (position /
// divisor) * freq_i.

#include <cstdint>
#include <vector>

#include "engine/model/config.h"

namespace baton {

class RopeTable {
 public:
  // Positions [0, positions).
  RopeTable(const ModelConfig& config, int64_t positions);

  int pairs() const { return pairs_; }
  // pairs() interleaved (cos, sin).
  const float* Row(int64_t position) const { return cos_sin_.data() + position * 2 * pairs_; }
  const std::vector<float>& values() const { return cos_sin_; }

 private:
  int pairs_;
  std::vector<float> cos_sin_;
};

}  // namespace baton
