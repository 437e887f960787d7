#pragma once

// How sure a mean of few repeats is. Pure.

#include <optional>
#include <vector>

namespace baton::report {

inline constexpr size_t kRepeatsForConfidence = 3;

struct Interval {
  double least = 0, most = 0;
};

// The 95% confidence interval of the mean: mean +- t s / sqrt(n), with Student's t of n - 1 degrees of
// freedom at 0.975 (repeats independent and about normal), s with n - 1. None with fewer than
// kRepeatsForConfidence.
std::optional<Interval> ConfidenceOf(const std::vector<double>& values);

}  // namespace baton::report
