#include "services/router/policy/rank_model.h"

#include <algorithm>
#include <cmath>

namespace baton::router {
namespace {

using Terms = OnlineFit::Terms;

constexpr double kForgetting = 0.998;  // remembers some 500 samples
constexpr double kUsual = 3;           // mean deviations within which a sample counts in full
constexpr double kDeviationShare = 0.02;
constexpr double kSpeedShare = 0.05;
constexpr double kPriorSamples = 4;
constexpr double kLeastSeconds = 1e-6;

double Dot(const Terms& a, const Terms& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// In units that make the terms of like size.
Terms PrefillTerms(double uncached, double held) {
  return {1, uncached * 1e-3, uncached * (held + uncached / 2) * 1e-8, 0};
}
Terms DecodeTerms(double streams, double context, double computing) {
  return {1, streams * 0.1, context * 1e-5, computing};
}

}  // namespace

OnlineFit::OnlineFit(const Terms& prior, const Terms& doubt) : weights_(prior), doubt_(doubt) {
  for (size_t i = 0; i < kTerms; ++i) covariance_[i][i] = doubt[i] * doubt[i];
}

double OnlineFit::Predict(const Terms& x) const {
  return std::max(0.0, Dot(weights_, x));
}

void OnlineFit::Observe(const Terms& x, double y) {
  if (!std::isfinite(y) || y < 0) return;
  const double predicted = Predict(x);
  const double scale = std::max({predicted, y, kLeastSeconds});
  double residual = y - Dot(weights_, x);
  // The first samples are taken as they are: the prior may be far off.
  if (samples_ >= 2 * kTerms) {
    const double usual = kUsual * std::max(deviation_, 0.05) * std::max(predicted, kLeastSeconds);
    residual = std::clamp(residual, -usual, usual);
  }
  deviation_ += kDeviationShare * (std::abs(y - predicted) / scale - deviation_);
  ++samples_;
  // Relative errors count alike: each sample is weighed by 1 / scale^2.
  Terms gain;
  for (size_t i = 0; i < kTerms; ++i) gain[i] = Dot(covariance_[i], x);
  const double weight = 1 / (scale * scale);
  const double bottom = kForgetting / weight + Dot(gain, x);
  for (size_t i = 0; i < kTerms; ++i) weights_[i] = std::max(0.0, weights_[i] + gain[i] * residual / bottom);
  const Terms column = gain;
  for (size_t i = 0; i < kTerms; ++i) {
    for (size_t j = 0; j < kTerms; ++j) {
      covariance_[i][j] = (covariance_[i][j] - column[i] * column[j] / bottom) / kForgetting;
    }
    // What is not excited must not grow without end.
    if (covariance_[i][i] > doubt_[i] * doubt_[i]) {
      const double shrink = doubt_[i] / std::sqrt(covariance_[i][i]);
      for (size_t j = 0; j < kTerms; ++j) {
        covariance_[i][j] *= shrink;
        covariance_[j][i] *= shrink;
      }
    }
  }
}

double RankSpeed::slowness() const {
  if (predicted_ <= 0) return 1;
  return std::clamp(actual_ / predicted_, 1 / kMostSpeed, kMostSpeed);
}

void RankSpeed::Observe(double predicted, double actual) {
  predicted = std::max(predicted, kLeastSeconds);
  if (predicted_ <= 0) predicted_ = actual_ = predicted * kPriorSamples;
  actual = std::clamp(actual, 0.0, predicted * kMostSpeed);
  predicted_ = predicted_ * (1 - kSpeedShare) + predicted;
  actual_ = actual_ * (1 - kSpeedShare) + actual;
}

// A hundred microseconds a token: between a fast GPU and a slow one.
PrefillFit::PrefillFit() : fit_({0.01, 0.1, 0.1, 0}, {0.1, 2, 2, 1e-9}) {}

double PrefillFit::Seconds(double uncached, double held) const {
  return fit_.Predict(PrefillTerms(uncached, held));
}

void PrefillFit::Observe(double uncached, double held, double seconds) {
  fit_.Observe(PrefillTerms(uncached, held), seconds);
}

DecodeFit::DecodeFit() : fit_({0.01, 0.002, 0.005, 0.02}, {0.1, 0.05, 0.1, 0.2}) {}

double DecodeFit::Seconds(double streams, double context, double computing) const {
  return fit_.Predict(DecodeTerms(streams, context, computing));
}

void DecodeFit::Observe(double streams, double context, double computing, double seconds) {
  fit_.Observe(DecodeTerms(streams, context, computing), seconds);
}

}  // namespace baton::router
