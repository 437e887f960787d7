#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "tools/report/chart.h"
#include "tools/report/html.h"
#include "tools/report/sections.h"

namespace baton::report {
namespace {

constexpr size_t kMostLines = 12;
constexpr double kWideRange = 50;  // from here on latencies are better read on a logarithmic axis

// No figure is less than 0.
Band BandOf(double rate, const Range& range) {
  if (!range.confidence) return {rate, range.least, range.most};
  return {rate, std::max(range.confidence->least, 0.0), range.confidence->most};
}

// The cells of one variant of one record are a line.
std::vector<Line> LinesOf(const View& view, const Metric& metric) {
  std::vector<Line> lines;
  const Cell* before = nullptr;
  for (const Cell& cell : view.cells) {
    const bool goes_on = before != nullptr && before->record == cell.record && before->label == cell.label;
    before = &cell;
    if (!goes_on) {
      if (lines.size() == kMostLines) break;
      lines.push_back(
          {view.Name(cell, false), view.ColourOf(cell.label), static_cast<int>(cell.record), {}, {}});
      if (lines.back().name.empty()) lines.back().name = "median";
    }
    const std::optional<Range> range = RangeOf(cell, metric);
    if (!range) continue;
    lines.back().points.push_back({cell.rate, range->median});
    if (cell.repeats.size() > 1) lines.back().band.push_back(BandOf(cell.rate, *range));
  }
  return lines;
}

bool IsWide(const std::vector<Line>& lines) {
  double least = 0, most = 0;
  for (const Line& line : lines) {
    for (const Point& point : line.points) {
      if (point.y <= 0) return false;
      least = least == 0 ? point.y : std::min(least, point.y);
      most = std::max(most, point.y);
    }
  }
  return most > least * kWideRange;
}

// A logarithmic axis has no 0: bands end at half of the least point.
void CutBelow(std::vector<Line>& lines) {
  double least = std::numeric_limits<double>::infinity();
  for (const Line& line : lines) {
    for (const Point& point : line.points) least = std::min(least, point.y);
  }
  for (Line& line : lines) {
    for (Band& band : line.band) band.least = std::max(band.least, least / 2);
  }
}

std::string Draw(const View& view, const Metric& metric) {
  Chart chart;
  chart.title = absl::StrCat(metric.title, metric.unit == "ms" ? "" : ", " + metric.unit);
  chart.x_title = "requests a second offered";
  chart.y_unit = metric.unit == "ms" ? Unit::kMs : Unit::kPlain;
  chart.dots = true;
  chart.lines = LinesOf(view, metric);
  for (const Cell& cell : view.cells) chart.x_most = std::max(chart.x_most, cell.rate);
  chart.x_least = chart.x_most;  // all charts over the same rates
  for (const Cell& cell : view.cells) chart.x_least = std::min(chart.x_least, cell.rate);
  chart.y_logarithmic = metric.unit == "ms" && IsWide(chart.lines);
  if (chart.y_logarithmic) {
    absl::StrAppend(&chart.title, " (logarithmic)");
    CutBelow(chart.lines);
  }
  return Draw(chart);
}

std::string RepeatsOf(const View& view) {
  size_t least = SIZE_MAX, most = 0;
  for (const Cell& cell : view.cells) {
    least = std::min(least, cell.repeats.size());
    most = std::max(most, cell.repeats.size());
  }
  if (most < 2) return "Lines: one run at each rate; no repeats, so no bands.";
  const std::string many = least == most ? absl::StrCat(most) : absl::StrCat(least, " to ", most);
  const char* confidence = "95% confidence intervals of the mean (Student t)";
  const char* range = "the least to the greatest of them";
  const std::string bands = least >= kRepeatsForConfidence ? confidence
                            : most >= kRepeatsForConfidence
                                ? absl::StrCat(confidence, " where there are ", kRepeatsForConfidence,
                                               " repeats or more, else ", range)
                                : absl::StrCat(range, ": too few for confidence");
  return absl::StrCat("Lines: medians of ", many, " repeats. Bands: ", bands, ".");
}

}  // namespace

std::string CurvesSection(const View& view) {
  const bool several_rates = std::any_of(view.cells.begin(), view.cells.end(), [&](const Cell& cell) {
    return RatesOf(view.cells, cell.record, cell.label).size() > 1;
  });
  if (!several_rates) return "";
  std::vector<std::string> pictures;
  for (const auto& [spread, field] :
       {std::pair{"ttft_ms", "p50"}, std::pair{"ttft_ms", "p90"}, std::pair{"itl_ms", "p50"},
        std::pair{"itl_ms", "p95"}, std::pair{"tpot_ms", "p50"}, std::pair{"", "goodput_per_s"},
        std::pair{"", "output_tokens_per_s"}}) {
    pictures.push_back(Draw(view, MetricOf(spread, field)));
  }
  const std::string markup = Figures(pictures);
  if (markup.empty()) return "";
  return Section("Against the rate", Paragraph(RepeatsOf(view), "note") + markup);
}

}  // namespace baton::report
