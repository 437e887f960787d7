#pragma once

// Axes: where a value lies, which ticks it has, how figures read.

#include <string>
#include <vector>

namespace baton::report {

enum class Unit { kPlain, kMs, kSeconds, kPercent };

// Three significant digits: "0.0123", "12.3", "1,234", "2.5 M".
std::string FormatFigure(double value);
// With its unit, as a tick reads: 0.5 ms, 2 s, 40%.
std::string FormatTick(double value, Unit unit);

// Multiples of 1, 2 or 5 times a power of ten: about `about` of them, none outside of [least, most]. At most
// 4 * about. Empty if the range is none.
std::vector<double> NiceTicks(double least, double most, int about);
// For 0 < least < most: powers of ten; with 2 and 5 between where these are fewer than three; NiceTicks where
// all of that is still fewer.
std::vector<double> LogTicks(double least, double most);

// What can be drawn: finite, and within 1e15.
bool Drawable(double value);

class Axis {
 public:
  // From `least` at pixel `from` to `most` at pixel `to`, widened where nothing lies between. Logarithmic:
  // both over 0, else it is made linear.
  Axis(double least, double most, bool logarithmic, double from, double to);

  double At(double value) const;  // values outside lie on the edge
  std::vector<double> Ticks(int about) const;
  double least() const { return least_; }
  double most() const { return most_; }
  bool logarithmic() const { return logarithmic_; }

 private:
  double least_, most_;
  bool logarithmic_;
  double from_, to_;
};

// The end of a linear axis from 0 that holds `most`: the next tick.
double RoundUp(double most);

}  // namespace baton::report
