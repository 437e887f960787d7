#pragma once

// Which transitions of a state machine have been taken, for the simulator's coverage report.

#include <array>
#include <cstddef>
#include <cstdint>

namespace baton {

template <typename State, size_t kStates>
class TransitionCounts {
 public:
  void Count(State from, State to) { ++counts_[Index(from)][Index(to)]; }
  uint64_t count(State from, State to) const { return counts_[Index(from)][Index(to)]; }

 private:
  static constexpr size_t Index(State s) { return static_cast<size_t>(s); }
  std::array<std::array<uint64_t, kStates>, kStates> counts_{};
};

template <typename State>
struct Transition {
  State from, to;
};

}  // namespace baton
