#pragma once

// How long ranks take, fitted online to what streams were seen to take: least squares with forgetting over
// all ranks that compute alike, times how fast each rank was beside that fit. Sane before any data: the
// first guess is a prior that a handful of samples outweighs. Bounded: a sample that is far off counts as
// one at the edge of what was usual, coefficients are never negative, and a rank is at most kMostSpeed times
// slower or faster than the fit.
//
// Decision classes: not thread-safe.

#include <array>
#include <cstddef>
#include <cstdint>

namespace baton::router {

// y = w . x, by recursive least squares with exponential forgetting (Haykin: "Adaptive filter theory",
// chapter 10), residuals clipped as Huber's M-estimator does (Huber, "Robust estimation of a location
// parameter", 1964).
class OnlineFit {
 public:
  static constexpr size_t kTerms = 4;
  using Terms = std::array<double, kTerms>;

  // `prior`: the first coefficients. `doubt`: how far off each may be.
  OnlineFit(const Terms& prior, const Terms& doubt);

  double Predict(const Terms& x) const;  // at least 0
  void Observe(const Terms& x, double y);
  uint64_t samples() const { return samples_; }

 private:
  Terms weights_;
  const Terms doubt_;
  std::array<Terms, kTerms> covariance_{};
  double deviation_ = 0.5;  // mean absolute, relative to what was predicted
  uint64_t samples_ = 0;
};

// How many times slower than a fit one rank is: what it took over what was predicted, both fading.
class RankSpeed {
 public:
  static constexpr double kMostSpeed = 8;
  double slowness() const;  // 1 before data
  void Observe(double predicted, double actual);

 private:
  double predicted_ = 0, actual_ = 0;
};

// Seconds in which a rank computes a prompt of `uncached` tokens after `held` ones, nothing before it.
class PrefillFit {
 public:
  PrefillFit();
  double Seconds(double uncached, double held) const;
  void Observe(double uncached, double held, double seconds);
  uint64_t samples() const { return fit_.samples(); }

 private:
  OnlineFit fit_;
};

// Seconds between tokens of a stream on a rank that decodes `streams` of `context` tokens in all, and for
// the share `computing` of the time computes prompts too.
class DecodeFit {
 public:
  DecodeFit();
  double Seconds(double streams, double context, double computing) const;
  void Observe(double streams, double context, double computing, double seconds);

 private:
  OnlineFit fit_;
};

}  // namespace baton::router
