#pragma once

// Which request of a plan is due next. Pure; not thread-safe.

#include <optional>
#include <queue>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "tools/load/plan.h"

namespace baton::load {

class Schedule {
 public:
  // `plan` outlives it.
  Schedule(const LoadPlan& plan, MonoTime origin);
  // INVALID_ARGUMENT for a plan with an `after` that is no other request's index, or two turns after the same
  // one.
  static absl::Status Check(const LoadPlan& plan);

  struct Due {
    MonoTime at;
    size_t index = 0;
    bool operator>(const Due& other) const { return at != other.at ? at > other.at : index > other.index; }
  };
  std::optional<MonoTime> NextAt() const;
  std::optional<Due> TakeDue(MonoTime now);

  // The turn after `index` gets its time, if there is one and it arrives before the plan's end. Otherwise it
  // and those after it will never be due.
  void Ended(size_t index, MonoTime now);
  std::optional<size_t> TurnAfter(size_t index) const;
  bool Empty() const { return !NextAt().has_value(); }

 private:
  const LoadPlan& plan_;
  MonoTime origin_;
  std::vector<int64_t> next_turn_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
};

}  // namespace baton::load
