#include "absl/strings/str_cat.h"
#include "tools/ctl/table.h"
#include "tools/report/axis.h"
#include "tools/report/compare.h"
#include "tools/report/report.h"
#include "tools/report/verdict.h"

namespace baton::report {
namespace {

constexpr size_t kMostLines = 500;
constexpr size_t kWidest = 200;

std::string OneLine(const std::string& text) {
  return ctl::Shorten(text, kWidest);
}

// Without commas, which would keep a column from being seen as numbers.
std::string Plain(double value) {
  std::string text = FormatFigure(value);
  std::erase(text, ',');
  return text;
}

std::string HeadOf(const load::RunRecord& record, const std::string& letter) {
  const Said said = VerdictOf(record);
  std::string text = absl::StrCat(letter, letter.empty() ? "" : ": ", OneLine(record.name), ": ", said.word,
                                  said.detail.empty() ? "" : " ", OneLine(said.detail), "\n");
  if (!record.hypothesis.empty()) absl::StrAppend(&text, "  hypothesis: ", OneLine(record.hypothesis), "\n");
  absl::StrAppend(&text, "  ", OneLine(record.started), ", ", OneLine(record.machine), ", commit ",
                  OneLine(record.commit), "\n");
  if (record.checks.empty()) return text;
  absl::StrAppend(&text, "  checks: ", HowManyHold(record), " of ", record.checks.size(), " hold\n");
  size_t shown = 0;
  for (const load::Check& check : ChecksInOrder(record)) {
    if (check.ok || ++shown > kMostLines) break;
    absl::StrAppend(&text, "  FAILED ", OneLine(check.name), ": ", OneLine(check.detail), "\n");
  }
  return text;
}

std::string Summary(const std::vector<Cell>& cells, bool several) {
  std::vector<std::vector<std::string>> rows = {{"VARIANT AND RATE", "RUNS", "REQUESTS", "ERRORS"}};
  for (const Metric& metric : Metrics()) rows[0].push_back(metric.title);
  for (const Cell& cell : cells) {
    if (rows.size() > kMostLines) break;
    rows.push_back({OneLine(NameOf(cell, several)), absl::StrCat(cell.repeats.size()),
                    absl::StrCat(Requests(cell)), absl::StrCat(Errors(cell))});
    for (const Metric& metric : Metrics()) {
      const std::optional<Range> range = RangeOf(cell, metric);
      rows.back().push_back(range ? Plain(range->median) : "-");
    }
  }
  if (rows.size() == 1) return "";
  return absl::StrCat(
      "\n", ctl::FormatTable(rows),
      "Medians of the runs; latencies in ms, output in tokens/s. -: too few samples (p50 wants 10, "
      "p90 100, p95 200, p99 1,000).\n");
}

std::string Differences(absl::Span<const load::RunRecord> records, const std::vector<Cell>& cells) {
  if (records.size() < 2) return "";
  std::string text = "\n";
  for (const std::string& line : UnlikeIn(records))
    absl::StrAppend(&text, "not the same: ", OneLine(line), "\n");
  std::vector<std::vector<std::string>> rows = {
      {"DIFFERENCE OF MEDIANS", "METRIC", "OF A", "", "DIFFERENCE", ""}};
  for (const Pairing& pairing : PairingsOf(cells)) {
    for (const Difference& difference : pairing.differences) {
      if (rows.size() > kMostLines) break;
      rows.push_back({OneLine(NameOf(pairing.other, true)), difference.metric->title,
                      Plain(difference.base.median), Plain(difference.other.median),
                      FormatPercent(difference.percent),
                      absl::StrCat(difference.better ? "better" : "worse",
                                   difference.within_repeats ? ", within repeats" : "")});
      if (difference.percent && *difference.percent == 0) rows.back().back() = "same";
    }
  }
  if (rows.size() == 1) return text + "No variant and rate is in two records: nothing to compare.\n";
  return text + ctl::FormatTable(rows);
}

}  // namespace

std::string RenderText(absl::Span<const load::RunRecord> records) {
  const std::vector<Cell> cells = CellsOf(records);
  std::string text;
  for (size_t i = 0; i < records.size(); ++i) {
    absl::StrAppend(&text, HeadOf(records[i], records.size() > 1 ? LetterOf(i) : ""));
  }
  return absl::StrCat(text, Summary(cells, records.size() > 1), Differences(records, cells));
}

}  // namespace baton::report
