#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "tools/report/chart.h"
#include "tools/report/html.h"
#include "tools/report/sections.h"

namespace baton::report {
namespace {

constexpr size_t kMostLines = 8;
constexpr int64_t kFewest = 10;
constexpr double kLeastMs = 0.1;

// The share of samples, in percent, up to each value, over the repeats together.
std::vector<Point> Cumulative(const Cell& cell, const std::string& name) {
  std::map<double, int64_t> counts;
  int64_t total = 0;
  for (const load::RunResult* run : cell.repeats) {
    const auto found = run->histograms.find(name);
    if (found == run->histograms.end()) continue;
    for (const load::Bucket& bucket : found->second) {
      if (!Drawable(bucket.upper)) continue;
      counts[std::max(bucket.upper, kLeastMs)] += bucket.count;
      total += bucket.count;
    }
  }
  std::vector<Point> points;
  if (total < kFewest) return points;
  int64_t below = 0;
  for (const auto& [upper, count] : counts) {
    points.push_back({upper, 100 * static_cast<double>(below) / static_cast<double>(total)});
    below += count;
    points.push_back({upper, 100 * static_cast<double>(below) / static_cast<double>(total)});
  }
  return points;
}

std::string Draw(const View& view, const std::vector<const Cell*>& cells, const std::string& name,
                 const std::string& title) {
  Chart chart;
  chart.title = absl::StrCat(title, ": share of samples up to a value");
  chart.x_title = "logarithmic";
  chart.x_unit = Unit::kMs;
  chart.y_unit = Unit::kPercent;
  chart.x_logarithmic = true;
  chart.y_most = 100;
  const bool one_rate = std::all_of(view.cells.begin(), view.cells.end(),
                                    [&](const Cell& cell) { return cell.rate == view.cells[0].rate; });
  for (const Cell* cell : cells) {
    // A variant has a colour; with several rates or records, dashes tell those apart.
    const int place = static_cast<int>(chart.lines.size());
    Line line{view.Name(*cell, !one_rate),
              one_rate ? view.ColourOf(cell->label) : place,
              static_cast<int>(cell->record),
              Cumulative(*cell, name),
              {}};
    if (line.name.empty()) line.name = "samples";
    chart.lines.push_back(std::move(line));
  }
  return Draw(chart);
}

}  // namespace

std::string DistributionsSection(const View& view) {
  const std::vector<const Cell*> cells = Chosen(view.cells, kMostLines);
  const bool all = cells.size() == view.cells.size();
  std::vector<std::string> pictures;
  for (const auto& [name, title] : {std::pair{"ttft_ms", "TTFT"}, std::pair{"itl_ms", "ITL"},
                                    std::pair{"tpot_ms", "TPOT"}, std::pair{"e2e_ms", "End to end"}}) {
    pictures.push_back(Draw(view, cells, name, title));
  }
  const std::string markup = Figures(pictures);
  if (markup.empty()) return "";
  return Section(
      "Distributions",
      Paragraph(absl::StrCat("All samples of the repeats together; what is below 0.1 ms stands there.",
                             all ? "" : " Of each variant its highest rate."),
                "note") +
          markup);
}

}  // namespace baton::report
