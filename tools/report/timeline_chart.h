#pragma once

// Small multiples on one time axis, with the faults across all of them.

#include <optional>
#include <string>
#include <vector>

#include "tools/load/run_record.h"

namespace baton::report {

struct Panel {
  std::string title;
  bool bars = false;  // counts; else a line that breaks where a value is absent
  int colour = 0;
  double most = 0;  // of its axis
  std::vector<std::optional<double>> bins;
  std::vector<std::vector<std::optional<double>>> others;  // of further repeats: faint, behind
};

struct TimelineChart {
  std::string title;
  double bin_s = 0;
  double seconds = 0;  // where the time axis ends
  std::vector<Panel> panels;
  std::vector<load::Mark> marks;
};

// What a mark says: "kill -9 decode-0", "decode-0 back".
std::string TextOf(const load::Mark& mark);
// The end of a fault, not its beginning.
bool IsEnd(const load::Mark& mark);

// Labels of marks stand above the panels in up to six lanes; what finds no room there keeps its line.
std::string Draw(const TimelineChart& chart);

}  // namespace baton::report
