#include "tools/report/svg.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/report/escape.h"

namespace baton::report {
namespace {

// Tenths of a pixel are enough, and "12.0" is "12".
std::string Number(double value) {
  if (!std::isfinite(value)) return "0";
  const double tenths = std::round(value * 10) / 10;
  return std::abs(tenths) < 1e6 ? absl::StrCat(tenths + 0.0) : absl::StrFormat("%.1f", tenths);
}

}  // namespace

Svg::Svg(double width, double height, absl::string_view title) {
  out_ = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 %s %s\" width=\"%s\" "
      "height=\"%s\">"
      "<title>%s</title>\n",
      Number(width), Number(height), Number(width), Number(height), Escape(title));
}

void Svg::Line(Point from, Point to, absl::string_view css) {
  absl::StrAppend(&out_, "<line x1=\"", Number(from.x), "\" y1=\"", Number(from.y), "\" x2=\"", Number(to.x),
                  "\" y2=\"", Number(to.y), "\" class=\"", Escape(css), "\"/>\n");
}

void Svg::Path(const std::vector<Point>& points, absl::string_view css, bool closed) {
  if (points.empty()) return;
  absl::StrAppend(&out_, "<path class=\"", Escape(css), "\" d=\"");
  for (size_t i = 0; i < points.size(); ++i) {
    absl::StrAppend(&out_, i == 0 ? "M" : "L", Number(points[i].x), " ", Number(points[i].y));
  }
  absl::StrAppend(&out_, closed ? "Z" : "", "\"/>\n");
}

void Svg::Rect(Point corner, double width, double height, absl::string_view css) {
  absl::StrAppend(&out_, "<rect x=\"", Number(corner.x), "\" y=\"", Number(corner.y), "\" width=\"",
                  Number(width), "\" height=\"", Number(height), "\" class=\"", Escape(css), "\"/>\n");
}

void Svg::Dot(Point at, double radius, absl::string_view css) {
  absl::StrAppend(&out_, "<circle cx=\"", Number(at.x), "\" cy=\"", Number(at.y), "\" r=\"", Number(radius),
                  "\" class=\"", Escape(css), "\"/>\n");
}

void Svg::Text(Point at, absl::string_view text, absl::string_view css, absl::string_view anchor) {
  absl::StrAppend(&out_, "<text x=\"", Number(at.x), "\" y=\"", Number(at.y), "\" text-anchor=\"", anchor,
                  "\" class=\"", Escape(css), "\">", Escape(text), "</text>\n");
}

std::string Svg::Done() && {
  return std::move(out_) + "</svg>\n";
}

}  // namespace baton::report
