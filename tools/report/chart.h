#pragma once

// Charts: lines with bands over one pair of axes, with labels at their ends.

#include <string>
#include <vector>

#include "tools/report/axis.h"
#include "tools/report/svg.h"

namespace baton::report {

struct Band {
  double x = 0, least = 0, most = 0;
};

struct Line {
  std::string name;
  int colour = 0;  // of the palette in style.h, modulo its size
  int dash = 0;
  std::vector<Point> points;  // ascending x
  std::vector<Band> band;     // ascending x; may be empty
};

struct Chart {
  std::string title, x_title;
  Unit x_unit = Unit::kPlain, y_unit = Unit::kPlain;
  bool x_logarithmic = false, y_logarithmic = false;
  double x_least = 0, x_most = 0;  // both 0: what the points need
  double y_most = 0;               // 0: what the points and bands need
  bool dots = false;
  std::vector<Line> lines;
};

inline constexpr int kColours = 8;

// The classes of a line, its band, its swatch: "c3 d1".
std::string Look(int colour, int dash);

// An empty string where no line has a point.
std::string Draw(const Chart& chart);

}  // namespace baton::report
