#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/report/axis.h"
#include "tools/report/compare.h"
#include "tools/report/html.h"
#include "tools/report/sections.h"

namespace baton::report {
namespace {

// The counts say already what completed.
bool IsShown(const Metric& metric) {
  return metric.field != "requests_per_s";
}

// Why percentiles are absent, for the readers of paper too.
class Reasons {
 public:
  void Add(const Cell& cell, const Metric& metric) {
    const Samples samples = SamplesOf(cell, metric);
    if (samples.wanted == 0) return;
    auto [at, is_new] = of_.try_emplace(metric.title, Of{samples.wanted, samples.fewest, samples.fewest, 0});
    at->second.least = std::min(at->second.least, samples.fewest);
    at->second.most = std::max(at->second.most, samples.fewest);
    ++at->second.rows;
  }

  std::string Markup() const {
    if (of_.empty()) return "";
    std::string text = "– means too few samples to say. ";
    for (const auto& [metric, of] : of_) {
      const std::string had =
          of.least == of.most ? absl::StrCat(of.least) : absl::StrCat(of.least, " to ", of.most);
      absl::StrAppend(&text, metric, " wants ", FormatFigure(static_cast<double>(of.wanted)), " and has ",
                      had, of.rows > 1 ? absl::StrCat(" in ", of.rows, " rows") : "", ". ");
    }
    return Paragraph(text, "note");
  }

 private:
  struct Of {
    int64_t wanted, least, most, rows;
  };
  std::map<std::string, Of> of_;
};

TableCell CellOf(const Cell& cell, const Metric& metric, Reasons* reasons) {
  const std::optional<Range> range = RangeOf(cell, metric);
  if (!range) {
    reasons->Add(cell, metric);
    return {"–", "", WhyAbsent(cell, metric), "n faint"};
  }
  std::string spread;
  if (cell.repeats.size() > 1) {
    spread = absl::StrCat(FormatFigure(range->least), "–", FormatFigure(range->most));
  }
  return {FormatFigure(range->median), spread, "", "n"};
}

std::string ErrorsOf(const Cell& cell) {
  std::map<std::string, int64_t> kinds;
  for (const load::RunResult* run : cell.repeats) {
    for (const auto& [kind, count] : run->summary.errors) kinds[kind] += count;
  }
  std::string text;
  for (const auto& [kind, count] : kinds) {
    if (count > 0) absl::StrAppend(&text, text.empty() ? "" : ", ", kind, ": ", count);
  }
  return text;
}

std::string SloOf(const View& view) {
  std::string text;
  for (const Cell& cell : view.cells) {
    const auto& slo = cell.repeats.front()->summary.slo;
    std::string said;
    for (const auto& [name, limit] : slo) {
      const std::string shown = name == "ttft_ms" ? "TTFT" : name == "tpot_ms" ? "TPOT" : name;
      absl::StrAppend(&said, said.empty() ? "" : " and ", shown, " within ", FormatTick(limit, Unit::kMs));
    }
    if (text.empty()) text = said;
    if (said != text) return "Goodput counts completed requests that met each variant's own SLO.";
  }
  return text.empty() ? "" : absl::StrCat("Goodput counts completed requests with ", text, ".");
}

void AddTenants(const View& view, Table* table) {
  for (const Cell& cell : view.cells) {
    std::map<std::string, std::vector<load::RunResult>> tenants;
    for (const load::RunResult* run : cell.repeats) {
      for (const auto& [name, summary] : run->summary.tenants) tenants[name].emplace_back().summary = summary;
    }
    for (const auto& [name, runs] : tenants) {
      Cell one = cell;
      one.repeats.clear();
      for (const load::RunResult& run : runs) one.repeats.push_back(&run);
      std::vector<TableCell> row = {{view.Name(cell, true), "", "", "n"},
                                    {name, "", "", "n"},
                                    {absl::StrCat(Requests(one)), "", "", "n"},
                                    {absl::StrCat(Errors(one)), "", "", "n"}};
      Reasons unused;
      for (const char* title : {"ttft_ms", "itl_ms", "tpot_ms"}) {
        row.push_back(CellOf(one, MetricOf(title, "p50"), &unused));
      }
      row.push_back(CellOf(one, MetricOf("", "output_tokens_per_s"), &unused));
      row.push_back(CellOf(one, MetricOf("", "goodput_per_s"), &unused));
      table->rows.push_back(std::move(row));
    }
  }
}

std::string RepeatsOf(const View& view) {
  size_t most = 0;
  for (const Cell& cell : view.cells) most = std::max(most, cell.repeats.size());
  return most > 1 ? "Each figure is the median of the repeats; under it the least and the greatest of them."
                  : "One run each: nothing is known about how far a repeat would differ.";
}

TableCell Verdict(const Difference& difference) {
  if (difference.percent && *difference.percent == 0) return {"same", "", "", "faint"};
  const std::string word = difference.better ? "better" : "worse";
  if (!difference.repeated) return {word, "", "one run of each: may be chance", "faint"};
  if (difference.within_repeats) return {absl::StrCat(word, ", within repeats"), "", "", "faint"};
  return {difference.better ? "▲ better" : "▼ worse", "", "", difference.better ? "ok" : "bad"};
}

}  // namespace

std::string SummarySection(const View& view) {
  Table table;
  table.heading = {"variant and rate", "runs", "requests", "errors"};
  for (const Metric& metric : Metrics()) {
    if (IsShown(metric)) table.heading.push_back(absl::StrCat(metric.title, ", ", metric.unit));
  }
  Reasons reasons;
  for (const Cell& cell : view.cells) {
    const std::string name = view.Name(cell, true);
    std::vector<TableCell> row = {
        {name, "", "", "n"},
        {absl::StrCat(cell.repeats.size()), "", "", "n"},
        {absl::StrCat(Requests(cell)), "", "", "n"},
        {absl::StrCat(Errors(cell)), ErrorsOf(cell), "", Errors(cell) > 0 ? "n bad" : "n"}};
    for (const Metric& metric : Metrics()) {
      if (IsShown(metric)) row.push_back(CellOf(cell, metric, &reasons));
    }
    table.rows.push_back(std::move(row));
  }
  if (table.rows.empty()) return "";
  Table tenants;
  tenants.heading = {"variant and rate", "tenant",       "requests",         "errors",     "TTFT p50, ms",
                     "ITL p50, ms",      "TPOT p50, ms", "output, tokens/s", "goodput, /s"};
  AddTenants(view, &tenants);
  const std::string by_tenant = Section("Tenants", Markup(tenants));
  return Section("Summary", absl::StrCat(Paragraph(absl::StrCat(RepeatsOf(view), " ", SloOf(view)), "note"),
                                         Markup(table), reasons.Markup())) +
         by_tenant;
}

std::string DifferencesSection(const View& view) {
  if (!view.several()) return "";
  std::string out;
  const std::vector<std::string> unlike = UnlikeIn(view.records);
  if (!unlike.empty()) {
    std::string text = "The records are not of the same conditions. ";
    for (const std::string& line : unlike) absl::StrAppend(&text, line, ". ");
    absl::StrAppend(&out, "<div class=\"verdict bad\">", Paragraph(text), "</div>\n");
  }
  Table table;
  table.heading = {"", "", "median of A", "median", "difference", ""};
  for (const Pairing& pairing : PairingsOf(view.cells)) {
    const std::string pair =
        absl::StrCat(view.Name(pairing.other, true), " beside ", view.Name(pairing.base, false));
    for (const Difference& difference : pairing.differences) {
      const bool first = &difference == &pairing.differences.front();
      table.rows.push_back(
          {{first ? pair : "", "", "", ""},
           {absl::StrCat(difference.metric->title, ", ", difference.metric->unit), "", "", "n"},
           {FormatFigure(difference.base.median), "", "", "n"},
           {FormatFigure(difference.other.median), "", "", "n"},
           {FormatPercent(difference.percent), "", "", "n"},
           Verdict(difference)});
    }
  }
  if (table.rows.empty()) {
    absl::StrAppend(
        &out, Paragraph("No variant and rate is in two records with enough samples: nothing to compare."));
  }
  absl::StrAppend(&out, Markup(table));
  return Section("Differences of the medians", out);
}

}  // namespace baton::report
