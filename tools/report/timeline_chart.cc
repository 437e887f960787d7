#include "tools/report/timeline_chart.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tools/ctl/table.h"
#include "tools/report/axis.h"
#include "tools/report/chart.h"
#include "tools/report/layout.h"

namespace baton::report {
namespace {

constexpr double kWidth = 560, kLeft = 58, kRight = 548, kLaneHeight = 14, kPanelHeight = 46, kPanelGap = 26;
constexpr int kMostLanes = 6;
constexpr size_t kMostMarks = 200, kLongestLabel = 40;

std::vector<load::Mark> InOrder(std::vector<load::Mark> marks, double seconds) {
  std::erase_if(marks, [&](const load::Mark& mark) { return !(mark.at_s >= 0 && mark.at_s <= seconds); });
  std::stable_sort(marks.begin(), marks.end(),
                   [](const load::Mark& a, const load::Mark& b) { return a.at_s < b.at_s; });
  if (marks.size() > kMostMarks) marks.resize(kMostMarks);
  return marks;
}

void DrawBins(const std::vector<std::vector<Point>>& pieces, bool bars, double bin_s, const Axis& x,
              const Axis& y, const std::string& look, Svg* svg) {
  const double bottom = y.At(0);
  for (const std::vector<Point>& piece : pieces) {
    std::vector<Point> pixels;
    for (const Point& point : piece) pixels.push_back({x.At(point.x), y.At(point.y)});
    if (bars) {
      const double wide = std::clamp(x.At(bin_s) - x.At(0) - 1, 1.0, 12.0);
      for (const Point& at : pixels) {
        if (at.y < bottom) svg->Rect({at.x - wide / 2, at.y}, wide, bottom - at.y, "bar " + look);
      }
    } else if (pixels.size() == 1) {
      svg->Dot(pixels[0], 2, "dot " + look);
    } else {
      svg->Path(pixels, "line thin " + look);
    }
  }
}

void DrawPanel(const Panel& panel, double bin_s, const Axis& x, double top, Svg* svg) {
  const double bottom = top + kPanelHeight;
  const Axis y(0, RoundUp(panel.most), false, bottom, top);
  svg->Text({kLeft, top - 5}, panel.title, "label");
  svg->Line({kLeft, top}, {kRight, top}, "grid");
  svg->Line({kLeft, bottom}, {kRight, bottom}, "axis");
  svg->Text({kLeft - 6, top + 4}, FormatFigure(y.most()), "tick", "end");
  svg->Text({kLeft - 6, bottom + 4}, "0", "tick", "end");
  const std::string look = Look(panel.colour, 0);
  for (const auto& bins : panel.others) {
    DrawBins(Pieces(bins, bin_s, kMostPoints / 4), panel.bars, bin_s, x, y, look + " behind", svg);
  }
  DrawBins(Pieces(panel.bins, bin_s), panel.bars, bin_s, x, y, look, svg);
}

double LaneAt(const Placed& placed, double top) {
  return top - 6 - kLaneHeight * std::max(placed.lane, 0);
}

// Under the rest.
void DrawMarkLines(const std::vector<load::Mark>& marks, const std::vector<Placed>& placed, const Axis& x,
                   double top, double bottom, Svg* svg) {
  for (size_t i = 0; i < marks.size(); ++i) {
    const double at = x.At(marks[i].at_s);
    svg->Line({at, LaneAt(placed[i], top) - 8}, {at, bottom}, IsEnd(marks[i]) ? "mark end" : "mark");
  }
}

void DrawMarkLabels(const std::vector<load::Mark>& marks, const std::vector<Placed>& placed, const Axis& x,
                    double top, Svg* svg) {
  for (size_t i = 0; i < marks.size(); ++i) {
    if (placed[i].lane < 0) continue;
    const Point at{x.At(marks[i].at_s) + (placed[i].leftwards ? -3 : 3), LaneAt(placed[i], top)};
    svg->Text(at, ctl::Shorten(TextOf(marks[i]), kLongestLabel),
              IsEnd(marks[i]) ? "marktext end" : "marktext", placed[i].leftwards ? "end" : "start");
  }
}

}  // namespace

bool IsEnd(const load::Mark& mark) {
  return mark.kind == "back" || mark.kind == "end" || mark.kind == "healed" || mark.kind == "undone";
}

std::string TextOf(const load::Mark& mark) {
  if (mark.what.empty()) return mark.kind;
  if (IsEnd(mark)) return absl::StrCat(mark.what, " ", mark.kind);
  return absl::StrContains(absl::AsciiStrToLower(mark.what), mark.kind)
             ? mark.what
             : absl::StrCat(mark.kind, " ", mark.what);
}

std::string Draw(const TimelineChart& chart) {
  if (chart.panels.empty() || !(chart.seconds > 0) || !Drawable(chart.seconds)) return "";
  const Axis x(0, chart.seconds, false, kLeft, kRight);
  const std::vector<load::Mark> marks = InOrder(chart.marks, chart.seconds);
  std::vector<Label> labels;
  for (const load::Mark& mark : marks) {
    labels.push_back({x.At(mark.at_s), WidthOf(ctl::Shorten(TextOf(mark), kLongestLabel)) + 8});
  }
  const std::vector<Placed> placed = PlaceInLanes(labels, 0, kWidth, kMostLanes);
  int lanes = 0;
  for (const Placed& one : placed) lanes = std::max(lanes, one.lane + 1);
  const double top = 26 + kLaneHeight * lanes + 4;
  const double first = top + 16;
  const double bottom =
      first + static_cast<double>(chart.panels.size()) * (kPanelHeight + kPanelGap) - kPanelGap;
  Svg svg(kWidth, bottom + 40, chart.title);
  svg.Text({0, 14}, chart.title, "title");
  DrawMarkLines(marks, placed, x, top, bottom, &svg);
  for (size_t i = 0; i < chart.panels.size(); ++i) {
    DrawPanel(chart.panels[i], chart.bin_s, x, first + static_cast<double>(i) * (kPanelHeight + kPanelGap),
              &svg);
  }
  for (const double tick : x.Ticks(8)) {
    svg.Line({x.At(tick), bottom}, {x.At(tick), bottom + 4}, "axis");
    svg.Text({x.At(tick), bottom + 17}, FormatFigure(tick), "tick", "middle");
  }
  svg.Text({(kLeft + kRight) / 2, bottom + 33}, "seconds since the run began", "tick", "middle");
  DrawMarkLabels(marks, placed, x, top, &svg);
  return std::move(svg).Done();
}

}  // namespace baton::report
