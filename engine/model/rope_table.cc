#include "engine/model/rope_table.h"

#include <cmath>

namespace baton {

RopeTable::RopeTable(const ModelConfig& config, int64_t positions) : pairs_(config.rope_dims / 2) {
  std::vector<float> frequencies(pairs_);
  for (int i = 0; i < pairs_; ++i) {
    const double frequency = std::pow(config.rope_base, -2.0 * i / config.rope_dims);
    frequencies[i] = static_cast<float>(frequency);
    if (!config.rope_factors.empty()) frequencies[i] /= config.rope_factors[i];
  }
  cos_sin_.resize(positions * 2 * pairs_);
  float* out = cos_sin_.data();
  for (int64_t position = 0; position < positions; ++position) {
    const float scaled = static_cast<float>(static_cast<double>(position) / config.rope_divisor);
    for (int i = 0; i < pairs_; ++i) {
      const double angle = scaled * frequencies[i];
      *out++ = static_cast<float>(std::cos(angle));
      *out++ = static_cast<float>(std::sin(angle));
    }
  }
}

}  // namespace baton
