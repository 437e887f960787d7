#include "services/router/policy/admission_limit.h"

#include <algorithm>
#include <cmath>

namespace baton::router {
namespace {
constexpr double kMissesAllowed = 0.1;
constexpr double kDeepestCut = 0.5;
constexpr double kGrowth = 0.1;
constexpr double kNear = 0.7;  // of the target: nearer than this is no time to double
}  // namespace

AdmissionLimit::AdmissionLimit(const AdmissionLimitConfig& config)
    : config_(config), value_(Adapts() ? std::min(config.start, config.most) : config.most) {}

bool AdmissionLimit::Adapts() const {
  return std::min(config_.first_token_target, config_.gap_target) < absl::InfiniteDuration();
}

void AdmissionLimit::FirstToken(MonoTime admitted, MonoTime now) {
  if (config_.first_token_target == absl::InfiniteDuration()) return;
  Judge(admitted, absl::FDivDuration(now - admitted, config_.first_token_target), now);
}

void AdmissionLimit::MeanGap(MonoTime admitted, absl::Duration gap, MonoTime now) {
  if (config_.gap_target == absl::InfiniteDuration()) return;
  Judge(admitted, absl::FDivDuration(gap, config_.gap_target), now);
}

void AdmissionLimit::Judge(MonoTime admitted, double ratio, MonoTime now) {
  if (admitted < since_) return;
  if (ratios_.empty()) window_start_ = std::max(admitted, since_);
  ratios_.push_back(ratio);
  if (ratios_.size() >= config_.samples && now - window_start_ >= config_.window) Decide(now);
}

void AdmissionLimit::Decide(MonoTime now) {
  std::sort(ratios_.begin(), ratios_.end());
  const auto rank =
      static_cast<size_t>(std::ceil((1 - kMissesAllowed) * static_cast<double>(ratios_.size())));
  const double p90 = ratios_[rank - 1];
  const uint64_t before = value_;
  const auto limit = static_cast<double>(value_);
  if (p90 > 1) {
    cut_once_ = true;
    value_ = static_cast<uint64_t>(std::max(1.0, std::floor(limit * std::max(kDeepestCut, 1 / p90))));
  } else if (held_back_ && p90 <= kNear) {
    const auto step = static_cast<uint64_t>(cut_once_ ? std::ceil(limit * kGrowth) : limit);
    value_ = std::min(config_.most, value_ + step);
  }
  held_back_ = false;
  ratios_.clear();
  if (value_ != before) since_ = now;
}

}  // namespace baton::router
