#include "tools/report/chart.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "tools/ctl/table.h"
#include "tools/report/layout.h"

namespace baton::report {
namespace {

constexpr double kWidth = 560, kLeft = 58, kTop = 30, kPlotHeight = 210, kBottom = 40, kLineGap = 15;
constexpr size_t kLongestName = 30;

struct Extent {
  double least = std::numeric_limits<double>::infinity();
  double most = -std::numeric_limits<double>::infinity();
  void Take(double value) {
    if (!Drawable(value)) return;
    least = std::min(least, value);
    most = std::max(most, value);
  }
  bool empty() const { return least > most; }
};

struct Frame {
  Axis x, y;
  double right, bottom;
};

Extent XExtent(const Chart& chart) {
  Extent extent;
  for (const Line& line : chart.lines) {
    for (const Point& point : line.points) extent.Take(point.x);
  }
  if (chart.x_most > chart.x_least && !extent.empty()) extent = {chart.x_least, chart.x_most};
  return extent;
}

Extent YExtent(const Chart& chart) {
  Extent extent;
  for (const Line& line : chart.lines) {
    for (const Point& point : line.points) extent.Take(point.y);
    for (const Band& band : line.band) {
      extent.Take(band.least);
      extent.Take(band.most);
    }
  }
  if (extent.empty()) return extent;
  if (chart.y_logarithmic && extent.least > 0) return extent;
  extent.least = std::min(0.0, extent.least);
  extent.most = chart.y_most > 0 ? chart.y_most : RoundUp(extent.most);
  return extent;
}

std::string NameOf(const Line& line) {
  return ctl::Shorten(line.name, kLongestName);
}

double LabelWidth(const Chart& chart) {
  double widest = 0;
  for (const Line& line : chart.lines) widest = std::max(widest, WidthOf(NameOf(line)));
  return widest + 34;
}

void DrawAxes(const Chart& chart, const Frame& frame, Svg* svg) {
  for (const double tick : frame.y.Ticks(4)) {
    const double y = frame.y.At(tick);
    svg->Line({kLeft, y}, {frame.right, y}, "grid");
    svg->Text({kLeft - 6, y + 4}, FormatTick(tick, chart.y_unit), "tick", "end");
  }
  double free_from = -1e9;
  for (const double tick : frame.x.Ticks(6)) {
    const double x = frame.x.At(tick);
    svg->Line({x, frame.bottom}, {x, frame.bottom + 4}, "axis");
    const std::string text = FormatTick(tick, chart.x_unit);
    const double half = WidthOf(text) / 2;
    if (x - half < free_from) continue;
    svg->Text({x, frame.bottom + 17}, text, "tick", "middle");
    free_from = x + half + 6;
  }
  svg->Line({kLeft, frame.bottom}, {frame.right, frame.bottom}, "axis");
  svg->Text({0, 14}, chart.title, "title");
  svg->Text({(kLeft + frame.right) / 2, frame.bottom + 34}, chart.x_title, "tick", "middle");
}

std::vector<Point> Pixels(const Line& line, const Frame& frame) {
  std::vector<Point> points;
  for (const Point& point : line.points) {
    if (Drawable(point.x) && Drawable(point.y)) points.push_back({frame.x.At(point.x), frame.y.At(point.y)});
  }
  return Thin(points);
}

void DrawBand(const Line& line, const Frame& frame, Svg* svg) {
  std::vector<Point> upper, lower;
  for (const Band& band : line.band) {
    if (!Drawable(band.x) || !Drawable(band.least) || !Drawable(band.most)) continue;
    upper.push_back({frame.x.At(band.x), frame.y.At(band.most)});
    lower.push_back({frame.x.At(band.x), frame.y.At(band.least)});
  }
  std::vector<Point> outline = Thin(upper);
  lower = Thin(lower);
  outline.insert(outline.end(), lower.rbegin(), lower.rend());
  svg->Path(outline, absl::StrCat("band ", Look(line.colour, 0)), true);
}

void DrawLabels(const std::vector<Point>& ends, const std::vector<const Line*>& lines, const Frame& frame,
                Svg* svg) {
  std::vector<double> wanted;
  for (const Point& end : ends) wanted.push_back(end.y);
  const std::vector<double> placed = SpreadApart(wanted, kLineGap, kTop + 4, frame.bottom + 16);
  for (size_t i = 0; i < ends.size(); ++i) {
    const double x = frame.right + 10, y = placed[i];
    svg->Path({ends[i], {frame.right + 2, ends[i].y}, {x - 2, y}}, "leader");
    svg->Line({x, y}, {x + 18, y}, absl::StrCat("line ", Look(lines[i]->colour, lines[i]->dash)));
    svg->Text({x + 22, y + 4}, NameOf(*lines[i]), "label");
  }
}

}  // namespace

std::string Look(int colour, int dash) {
  return absl::StrCat("c", colour % kColours, " d", dash % 4);
}

std::string Draw(const Chart& chart) {
  const Extent x = XExtent(chart), y = YExtent(chart);
  if (x.empty() || y.empty()) return "";
  const double right = kWidth - std::min(LabelWidth(chart), 230.0), bottom = kTop + kPlotHeight;
  const Frame frame{Axis(x.least, x.most, chart.x_logarithmic, kLeft, right),
                    Axis(y.least, y.most, chart.y_logarithmic, bottom, kTop), right, bottom};
  Svg svg(kWidth, bottom + kBottom, chart.title);
  DrawAxes(chart, frame, &svg);
  for (const Line& line : chart.lines) DrawBand(line, frame, &svg);
  std::vector<Point> ends;
  std::vector<const Line*> drawn;
  for (const Line& line : chart.lines) {
    const std::vector<Point> points = Pixels(line, frame);
    if (points.empty()) continue;
    svg.Path(points, absl::StrCat("line ", Look(line.colour, line.dash)));
    for (const Point& point : points) {
      if (chart.dots || points.size() == 1) svg.Dot(point, 3, absl::StrCat("dot ", Look(line.colour, 0)));
    }
    ends.push_back(points.back());
    drawn.push_back(&line);
  }
  DrawLabels(ends, drawn, frame, &svg);
  return std::move(svg).Done();
}

}  // namespace baton::report
