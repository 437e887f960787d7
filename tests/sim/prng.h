#pragma once

// The only source of chance in a simulated world: xoshiro256** (Blackman, Vigna 2018) seeded by splitmix64,
// so that one number replays everything. Not thread-safe.

#include <cstdint>

#include "absl/time/time.h"
#include "common/ids.h"

namespace baton::sim {

class Prng {
 public:
  explicit Prng(uint64_t seed) {
    for (uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15u;
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      word = z ^ (z >> 31);
    }
  }

  uint64_t Next() {
    const uint64_t result = Rotate(state_[1] * 5, 7) * 9;
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = Rotate(state_[3], 45);
    return result;
  }

  // Uniform in [0, n); n > 0.
  uint64_t Below(uint64_t n) { return Next() % n; }
  // Uniform in [lo, hi].
  int64_t Range(int64_t lo, int64_t hi) {
    return lo + static_cast<int64_t>(Below(static_cast<uint64_t>(hi - lo + 1)));
  }
  // True `per_mille` times in a thousand.
  bool Chance(int per_mille) { return static_cast<int>(Below(1000)) < per_mille; }
  absl::Duration Between(absl::Duration lo, absl::Duration hi) {
    return absl::Microseconds(Range(absl::ToInt64Microseconds(lo), absl::ToInt64Microseconds(hi)));
  }
  Id128 Id() { return Id128{Next() | 1, Next()}; }
  // A generator of its own for one purpose: its draws do not shift those of others.
  Prng Fork() { return Prng(Next()); }

 private:
  static uint64_t Rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

  uint64_t state_[4];
};

}  // namespace baton::sim
