#pragma once

// Random draws that follow from a seed and a stream's number, the same on every machine.

#include <cmath>
#include <cstdint>

#include "common/keyed_random.h"

namespace baton::load {

class Random {
 public:
  Random(uint64_t seed, uint32_t stream) : seed_(seed), stream_(stream) {}

  double Uniform() { return KeyedUniform(seed_, stream_, next_++); }  // [0, 1)
  uint64_t Bits() { return static_cast<uint64_t>(Uniform() * 0x1p53); }
  int64_t Between(int64_t least, int64_t most) {  // both included
    return least + static_cast<int64_t>(Uniform() * static_cast<double>(most - least + 1));
  }
  double Exponential() { return -std::log1p(-Uniform()); }  // mean 1
  double Normal();                                          // Box-Muller
  double Gamma(double shape);                               // mean `shape`; Marsaglia and Tsang, 2000

 private:
  uint64_t seed_;
  uint32_t stream_;
  uint64_t next_ = 0;
};

}  // namespace baton::load
