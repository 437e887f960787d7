#pragma once

// Where points and labels go, so that a page stays small and nothing is printed over something else.

#include <cstddef>
#include <optional>
#include <vector>

#include "tools/report/svg.h"

namespace baton::report {

inline constexpr size_t kMostPoints = 600;

// At most `most` (4 or more) of `points`, in their order: the first, the last, and of each stretch between
// the least and the greatest y, so that no peak is lost.
std::vector<Point> Thin(const std::vector<Point>& points, size_t most = kMostPoints);

// A series of bins as unbroken pieces (x: the middle of the bin, in seconds), broken where a value is absent.
// Where there are more than `most` bins, neighbours share one, which keeps its least and its greatest.
std::vector<std::vector<Point>> Pieces(const std::vector<std::optional<double>>& bins, double bin_s,
                                       size_t most = kMostPoints);

// Positions within [least, greatest], at least `gap` apart, in the order of `wanted` and together as near to
// them as can be (least squares). Where there is no room, closer.
std::vector<double> SpreadApart(const std::vector<double>& wanted, double gap, double least, double greatest);

struct Placed {
  int lane = -1;  // -1: no lane has room
  bool leftwards = false;
};

struct Label {
  double at = 0, width = 0;
};

// Lanes for labels that begin at `at` (or end there: leftwards, if they would pass `right`). Those of one
// lane do not overlap. In the order given.
std::vector<Placed> PlaceInLanes(const std::vector<Label>& labels, double left, double right, int lanes);

// How wide a text is in the report's small type, about.
double WidthOf(const std::string& text);

}  // namespace baton::report
