#pragma once

// Repeats put together: one cell for each record, variant and rate; medians of what they measured.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "tools/load/run_record.h"
#include "tools/report/confidence.h"

namespace baton::report {

enum class Better { kLess, kMore };

struct Metric {
  std::string title, unit;
  std::string spread;  // "ttft_ms"; empty: `field` is of the summary itself
  std::string field;   // "p50"
  Better better = Better::kLess;
};

// The metrics of a report, in their order: TTFT, ITL, TPOT, e2e, rates.
const std::vector<Metric>& Metrics();
const Metric& MetricOf(const std::string& spread, const std::string& field);

struct Cell {
  size_t record = 0;
  std::string label;
  double rate = 0;
  std::vector<const load::RunResult*> repeats;
};

struct Range {
  double median = 0, least = 0, most = 0;
  std::optional<Interval> confidence;  // of the mean; none with too few repeats
};

// In the order of records, of variants as they first ran, and of rates. Points into `records`.
std::vector<Cell> CellsOf(absl::Span<const load::RunRecord> records);

// Absent where a repeat has too few samples of it (or none).
std::optional<Range> RangeOf(const Cell& cell, const Metric& metric);
// Of the repeat that has the fewest, and how many `metric` wants; 0 and 0 where it is no distribution's.
struct Samples {
  int64_t fewest = 0, wanted = 0;
};
Samples SamplesOf(const Cell& cell, const Metric& metric);
// Why it is absent: "75 samples, p90 wants 100".
std::string WhyAbsent(const Cell& cell, const Metric& metric);

// The sum over the repeats.
int64_t Requests(const Cell& cell);
int64_t Errors(const Cell& cell);

// "split at 4/s"; with several records "B split at 4/s".
std::string NameOf(const Cell& cell, bool several, bool with_rate = true);
// 0: "A"
std::string LetterOf(size_t record);

// All cells, or where these are more than `most`, the highest rate of each variant (the first `most` of
// them).
std::vector<const Cell*> Chosen(const std::vector<Cell>& cells, size_t most);

// The variants' names, in the order of their first cells: their places are the colours.
std::vector<std::string> Labels(const std::vector<Cell>& cells);
std::set<double> RatesOf(const std::vector<Cell>& cells, size_t record, const std::string& label);

}  // namespace baton::report
