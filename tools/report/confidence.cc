#include "tools/report/confidence.h"

#include <array>
#include <cmath>
#include <numeric>

namespace baton::report {
namespace {

// By degrees of freedom, from 1 on.
constexpr std::array kStudent = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                 2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                                 2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
constexpr double kNormal = 1.960;

}  // namespace

std::optional<Interval> ConfidenceOf(const std::vector<double>& values) {
  if (values.size() < kRepeatsForConfidence) return std::nullopt;
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const size_t freedom = values.size() - 1;
  const double t = freedom <= kStudent.size() ? kStudent[freedom - 1] : kNormal;
  const double half = t * std::sqrt(squares / (n - 1) / n);
  if (!std::isfinite(half)) return std::nullopt;
  return Interval{mean - half, mean + half};
}

}  // namespace baton::report
