#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/report/chart.h"
#include "tools/report/html.h"
#include "tools/sim/output.h"

namespace baton::simulator {
namespace {

using Value = double (*)(const Row& row);

std::string Chart(const std::vector<Row>& rows, const char* title, report::Unit unit, Value value) {
  report::Chart chart{.title = title, .x_title = "requests a second offered", .y_unit = unit, .dots = true};
  for (const Row& row : rows) {
    auto line = std::find_if(chart.lines.begin(), chart.lines.end(),
                             [&](const report::Line& one) { return one.name == row.policy; });
    if (line == chart.lines.end()) {
      const int colour = static_cast<int>(chart.lines.size());
      line = chart.lines.insert(chart.lines.end(), {row.policy, colour, colour / report::kColours, {}, {}});
    }
    line->points.push_back({row.rate, value(row)});
  }
  return report::Draw(chart);
}

double TtftMs(const Row& row) {
  return row.ttft.QuantileMs(0.99).value_or(0);
}
double ItlMs(const Row& row) {
  return row.itl.QuantileMs(0.99).value_or(0);
}

report::TableCell Number(const std::string& text) {
  return {.text = text, .css = "n"};
}

report::TableCell Milliseconds(const load::Histogram& histogram, double share) {
  const std::optional<double> ms = histogram.QuantileMs(share);
  return Number(ms ? absl::StrFormat("%.4g", *ms) : "-");
}

}  // namespace

std::string ToHtml(const Headline& headline, const std::vector<Row>& rows) {
  report::Table table{.heading = {"policy", "load", "requests/s", "goodput/s", "good", "TTFT p50 ms",
                                  "p99 ms", "ITL p50 ms", "p99 ms", "cached", "computed by decode",
                                  "balance P, D"}};
  for (const Row& row : rows) {
    const double all = double(std::max<int64_t>(1, row.requests));
    const double cached = row.prompt_tokens > 0 ? double(row.cached_tokens) / double(row.prompt_tokens) : 0;
    table.rows.push_back({{.text = row.policy, .hint = row.described},
                          Number(absl::StrCat(row.load)),
                          Number(absl::StrFormat("%.2f", row.rate)),
                          Number(absl::StrFormat("%.3f", row.Goodput())),
                          Number(absl::StrFormat("%.1f%%", 100 * row.GoodShare())),
                          Milliseconds(row.ttft, 0.5),
                          Milliseconds(row.ttft, 0.99),
                          Milliseconds(row.itl, 0.5),
                          Milliseconds(row.itl, 0.99),
                          Number(headline.shares ? absl::StrFormat("%.1f%%", 100 * cached) : "-"),
                          Number(absl::StrFormat("%.1f%%", 100 * double(row.direct) / all)),
                          Number(absl::StrFormat("%.2f, %.2f", row.prefill_balance, row.decode_balance))});
  }
  const std::vector<std::string> charts = {
      Chart(rows, "Goodput, requests/s", report::Unit::kPlain, [](const Row& row) { return row.Goodput(); }),
      Chart(rows, "Within both SLOs", report::Unit::kPercent,
            [](const Row& row) { return 100 * row.GoodShare(); }),
      Chart(rows, "Time to first token, p99", report::Unit::kMs, TtftMs),
      Chart(rows, "Gap between tokens, p99", report::Unit::kMs, ItlMs)};
  return report::Page("Placement policies, simulated",
                      absl::StrCat(report::Paragraph(AboutRun(headline)),
                                   report::Section("Against the rate", report::Figures(charts)),
                                   report::Section("Figures", report::Markup(table))));
}

}  // namespace baton::simulator
