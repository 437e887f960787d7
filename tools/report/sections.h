#pragma once

// The parts of a report, as markup; each is empty where the records have nothing for it.

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "tools/load/run_record.h"
#include "tools/report/cells.h"

namespace baton::report {

struct View {
  absl::Span<const load::RunRecord> records;
  std::vector<Cell> cells;          // of them
  std::vector<std::string> labels;  // of the cells: a label's place is its colour
  bool several() const { return records.size() > 1; }
  // "A split"; what a line is called where rates are along the axis.
  std::string Name(const Cell& cell, bool with_rate) const { return NameOf(cell, several(), with_rate); }
  int ColourOf(const std::string& label) const;
};

std::string HeadOf(const View& view);          // names, verdicts, hypotheses
std::string ChecksSection(const View& view);   // what failed first
std::string SummarySection(const View& view);  // medians of each variant and rate; errors; tenants
std::string DifferencesSection(const View& view);
std::string CurvesSection(const View& view);         // against the rate, where a variant has several
std::string DistributionsSection(const View& view);  // cumulative
std::string TimelinesSection(const View& view);
std::string RowsSection(const View& view);   // of DESIGN section 10
std::string FactsSection(const View& view);  // configuration, machine, versions, commit

}  // namespace baton::report
