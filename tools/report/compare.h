#pragma once

// Records beside the first of them.

#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "tools/report/cells.h"

namespace baton::report {

struct Difference {
  const Metric* metric = nullptr;
  Range base, other;
  std::optional<double> percent;  // of the medians; absent where the base's is 0
  bool better = false;            // the other's median is
  // The ranges of the repeats overlap: the difference may be chance. With one repeat of each it is unknown.
  bool within_repeats = false;
  bool repeated = false;
};

struct Pairing {
  Cell base, other;                     // of record 0, and of a later one
  std::vector<Difference> differences;  // of the metrics that both have
};

// Cells of the same variant and rate; where both records have one variant only, its name may differ.
std::vector<Pairing> PairingsOf(const std::vector<Cell>& cells);

// What is not the same in the records, a line each: "machine: A: …; B: …". Long values are only said to
// differ.
std::vector<std::string> UnlikeIn(absl::Span<const load::RunRecord> records);

// "+12.3%", "-4%", "–" if unknown.
std::string FormatPercent(const std::optional<double>& percent);

}  // namespace baton::report
