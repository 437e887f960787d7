#pragma once

// When each fault of a schedule begins and ends. A plain class: the time in, what is to be done out.

#include <optional>
#include <set>
#include <vector>

#include "absl/time/time.h"
#include "tools/chaos/fault.h"

namespace baton::chaos {

struct FaultStep {
  size_t index = 0;  // of the fault in the schedule
  bool begins = false;

  bool operator==(const FaultStep&) const = default;
};

class FaultLine {
 public:
  explicit FaultLine(const Schedule& schedule);

  // When the next step is due, after the load's start; nothing when all are done.
  std::optional<absl::Duration> NextDue() const;
  // The steps due by `now`, in the order of their times; an end before a beginning at the same time. Each is
  // given once.
  std::vector<FaultStep> Take(absl::Duration now);

 private:
  struct Due {
    absl::Duration at;
    FaultStep step;
  };
  std::vector<Due> due_;  // the next one last
};

}  // namespace baton::chaos
