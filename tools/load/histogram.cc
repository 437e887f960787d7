#include "tools/load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace baton::load {
namespace {

constexpr int kLinearBits = 7;  // 128 buckets of 1 us, then 128 to each power of two
constexpr uint64_t kLinear = uint64_t{1} << kLinearBits;
constexpr uint64_t kLargest = (uint64_t{1} << 40) - 1;

size_t IndexOf(uint64_t us) {
  if (us < kLinear) return us;
  const int octave = std::bit_width(us) - 1 - kLinearBits;  // 0: [128, 256)
  return kLinear * (octave + 1) + ((us >> octave) - kLinear);
}

double LowerOf(size_t index) {
  if (index < kLinear) return static_cast<double>(index);
  const size_t octave = index / kLinear - 1;
  return std::ldexp(static_cast<double>(kLinear + index % kLinear), static_cast<int>(octave));
}

double MiddleMs(size_t index) {
  return (LowerOf(index) + LowerOf(index + 1)) / 2000;
}

}  // namespace

void Histogram::Add(absl::Duration value, int64_t count) {
  const double us = std::clamp(absl::ToDoubleMicroseconds(value), 0.0, static_cast<double>(kLargest));
  const size_t index = IndexOf(static_cast<uint64_t>(us));
  if (index >= buckets_.size()) buckets_.resize(index + 1);
  buckets_[index] += count;
  count_ += count;
  sum_us_ += us * static_cast<double>(count);
  max_us_ = std::max(max_us_, us);
}

void Histogram::Merge(const Histogram& other) {
  if (other.buckets_.size() > buckets_.size()) buckets_.resize(other.buckets_.size());
  for (size_t i = 0; i < other.buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_us_ += other.sum_us_;
  max_us_ = std::max(max_us_, other.max_us_);
}

std::optional<double> Histogram::QuantileMs(double share) const {
  if (count_ == 0) return std::nullopt;
  const int64_t wanted = std::clamp<int64_t>(std::ceil(share * static_cast<double>(count_)), 1, count_);
  int64_t seen = 0;
  size_t index = 0;
  while ((seen += buckets_[index]) < wanted) ++index;
  return std::min(MiddleMs(index), max_us_ / 1000);
}

int64_t Histogram::CountAbove(absl::Duration limit) const {
  const double us = std::clamp(absl::ToDoubleMicroseconds(limit), 0.0, static_cast<double>(kLargest));
  int64_t above = 0;
  for (size_t i = IndexOf(static_cast<uint64_t>(us)) + 1; i < buckets_.size(); ++i) above += buckets_[i];
  return above;
}

Spread Histogram::ToSpread() const {
  Spread spread{.count = count_};
  if (count_ == 0) return spread;
  spread.mean = sum_us_ / static_cast<double>(count_) / 1000;
  spread.max = max_us_ / 1000;
  if (count_ >= 10) spread.p50 = QuantileMs(0.5);
  if (count_ >= 100) spread.p90 = QuantileMs(0.9);
  if (count_ >= 200) spread.p95 = QuantileMs(0.95);
  if (count_ >= 1000) spread.p99 = QuantileMs(0.99);
  if (count_ >= 10000) spread.p999 = QuantileMs(0.999);
  return spread;
}

std::vector<Bucket> Histogram::Buckets() const {
  std::vector<Bucket> filled;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    if (buckets_[i] > 0) filled.push_back({LowerOf(i + 1) / 1000, buckets_[i]});
  }
  return filled;
}

}  // namespace baton::load
