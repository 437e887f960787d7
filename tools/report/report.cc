#include "tools/report/report.h"

#include "absl/strings/str_cat.h"
#include "tools/ctl/files.h"
#include "tools/report/html.h"
#include "tools/report/sections.h"

namespace baton::report {

std::string RenderHtml(absl::Span<const load::RunRecord> records) {
  View view{records, CellsOf(records), {}};
  view.labels = Labels(view.cells);
  std::string title;
  for (const load::RunRecord& record : records)
    absl::StrAppend(&title, title.empty() ? "" : " · ", record.name);
  return Page(title, absl::StrCat(HeadOf(view), DifferencesSection(view), SummarySection(view),
                                  CurvesSection(view), TimelinesSection(view), DistributionsSection(view),
                                  ChecksSection(view), RowsSection(view), FactsSection(view)));
}

absl::Status WriteReport(absl::Span<const load::RunRecord> records, const std::string& path) {
  if (records.empty() || records.size() > kMostRecords) {
    return absl::InvalidArgumentError(
        absl::StrCat("a report is of 1 to ", kMostRecords, " records, not of ", records.size()));
  }
  return ctl::WriteFileAtomically(path, RenderHtml(records));
}

}  // namespace baton::report
