#pragma once

// Makes a failing schedule small: ddmin (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
// Input", 2002) over its faults, after a first look at whether it fails without any, then shorter times for
// those that last. A plain class: schedules to try out, verdicts in. Ends after at most `most_runs` verdicts.

#include <cstddef>
#include <optional>

#include "tools/chaos/fault.h"

namespace baton::chaos {

class Shrinker {
 public:
  // `failing` is known to fail.
  Shrinker(Schedule failing, int most_runs);

  // The next schedule to try; nothing when done. Call Report with its verdict before the next call.
  std::optional<Schedule> Next();
  void Report(bool fails);

  const Schedule& smallest() const { return best_; }
  int runs() const { return runs_; }

 private:
  std::optional<Schedule> NextPart();
  std::optional<Schedule> NextShorter();

  Schedule best_;
  Schedule trying_;
  int most_runs_, runs_ = 0;
  size_t parts_ = 2;  // that the faults are split into
  size_t at_ = 0;     // of 2 * parts_: parts alone, then their complements
  bool empty_tried_ = false;
  bool removing_ = true;
  size_t shortening_ = 0;  // which fault
};

}  // namespace baton::chaos
