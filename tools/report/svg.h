#pragma once

// A picture as inline SVG. Coordinates are pixels from the upper left; classes are those of style.h; whatever
// text comes in is escaped.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace baton::report {

struct Point {
  double x = 0, y = 0;
};

class Svg {
 public:
  // `title` is what a screen reader says.
  Svg(double width, double height, absl::string_view title);

  void Line(Point from, Point to, absl::string_view css);
  void Path(const std::vector<Point>& points, absl::string_view css, bool closed = false);
  void Rect(Point corner, double width, double height, absl::string_view css);
  void Dot(Point at, double radius, absl::string_view css);
  // `anchor`: "start", "middle" or "end".
  void Text(Point at, absl::string_view text, absl::string_view css, absl::string_view anchor = "start");

  std::string Done() &&;

 private:
  std::string out_;
};

}  // namespace baton::report
