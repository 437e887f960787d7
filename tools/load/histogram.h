#pragma once

// Counts of durations in log-linear buckets, as HdrHistogram keeps them (hdrhistogram.org): each power of two
// is cut into 128 equal buckets, so that a value read back is within 0.4% of the one recorded (0.5 us below
// 128 us). Values are microseconds, from 0 to 2^40 (12 days); larger ones count as the largest. Not
// thread-safe.

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "tools/load/run_record.h"

namespace baton::load {

inline constexpr double kHistogramError = 1.0 / 256;  // relative, of a value read back

class Histogram {
 public:
  void Add(absl::Duration value, int64_t count = 1);
  void Merge(const Histogram& other);

  int64_t count() const { return count_; }
  // The value at or below which `share` (0 to 1) of the samples lie: the middle of its bucket. None without
  // samples.
  std::optional<double> QuantileMs(double share) const;
  // How many samples are above `limit`, to the precision of a bucket.
  int64_t CountAbove(absl::Duration limit) const;

  // Percentiles only where there are enough samples (Spread says how many); mean and max are exact.
  Spread ToSpread() const;
  // The buckets that hold something, by their upper ends in milliseconds.
  std::vector<Bucket> Buckets() const;

 private:
  std::vector<int64_t> buckets_;  // as long as the largest value needs
  int64_t count_ = 0;
  double sum_us_ = 0, max_us_ = 0;
};

}  // namespace baton::load
