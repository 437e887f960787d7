#include "tools/load/arrivals.h"

#include <algorithm>
#include <map>
#include <numbers>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace baton::load {

double Random::Normal() {
  const double radius = std::sqrt(2 * Exponential());
  return radius * std::cos(2 * std::numbers::pi * Uniform());
}

double Random::Gamma(double shape) {
  if (shape < 1) return Gamma(shape + 1) * std::pow(std::max(Uniform(), 1e-300), 1 / shape);
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = Normal(), v = std::pow(1 + c * x, 3);
    if (v <= 0) continue;
    if (std::log(std::max(Uniform(), 1e-300)) < x * x / 2 + d - d * v + d * std::log(v)) return d * v;
  }
}

absl::StatusOr<ArrivalKind> ParseArrivalKind(absl::string_view name) {
  static const std::map<absl::string_view, ArrivalKind> kKinds = {{"constant", ArrivalKind::kConstant},
                                                                  {"poisson", ArrivalKind::kPoisson},
                                                                  {"gamma", ArrivalKind::kGamma},
                                                                  {"ramp", ArrivalKind::kRamp}};
  const auto kind = kKinds.find(name);
  if (kind != kKinds.end()) return kind->second;
  return absl::InvalidArgumentError(
      absl::StrCat("arrivals are constant, poisson, gamma or ramp, not '", name, "'"));
}

namespace {

// When a Poisson process whose rate goes from `from` to `to` within `seconds` has had `expected` arrivals.
double RampTime(double from, double to, double seconds, double expected) {
  const double slope = (to - from) / seconds;
  if (std::abs(slope) < 1e-12) return expected / from;
  const double root = from * from + 2 * slope * expected;
  return root < 0 ? seconds : (std::sqrt(root) - from) / slope;
}

class Gaps {
 public:
  explicit Gaps(const ArrivalSpec& spec) : spec_(spec), random_(spec.seed, 1) {}

  double NextTime() {
    switch (spec_.kind) {
      case ArrivalKind::kConstant:
        return static_cast<double>(count_++) / spec_.rate;
      case ArrivalKind::kPoisson:
        return sum_ += random_.Exponential() / spec_.rate;
      case ArrivalKind::kGamma: {
        const double shape = 1 / (spec_.cv * spec_.cv);
        return sum_ += random_.Gamma(shape) / shape / spec_.rate;
      }
      case ArrivalKind::kRamp:
        sum_ += random_.Exponential();
        return RampTime(spec_.rate, spec_.rate_to, absl::ToDoubleSeconds(spec_.duration), sum_);
    }
    return absl::ToDoubleSeconds(spec_.duration);
  }

 private:
  const ArrivalSpec& spec_;
  Random random_;
  double sum_ = 0;
  int64_t count_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<absl::Duration>> Arrivals(const ArrivalSpec& spec) {
  const double seconds = absl::ToDoubleSeconds(spec.duration);
  const double highest = spec.kind == ArrivalKind::kRamp ? std::max(spec.rate, spec.rate_to) : spec.rate;
  if (!(spec.rate > 0 && spec.rate_to > 0 && highest <= 1e6))
    return absl::InvalidArgumentError("a rate must be over 0, and at most a million a second");
  if (!(seconds > 0 && seconds < 1e7)) return absl::InvalidArgumentError("the duration must be over 0");
  if (!(spec.cv > 0.01 && spec.cv <= 100))
    return absl::InvalidArgumentError("the CV must be within 0.01 and 100");
  if (std::min(highest * seconds, static_cast<double>(spec.most)) > static_cast<double>(kMostRequests))
    return absl::InvalidArgumentError(absl::StrCat("that would be over ", kMostRequests, " requests"));
  std::vector<absl::Duration> times;
  Gaps gaps(spec);
  while (static_cast<int64_t>(times.size()) < std::min(spec.most, kMostRequests)) {
    const double at = gaps.NextTime();
    if (!(at < seconds)) break;
    times.push_back(absl::Seconds(at));
  }
  return times;
}

int64_t Lengths::Draw(Random& random) const {
  double tokens = first;
  if (kind == Kind::kUniform) {
    tokens = static_cast<double>(random.Between(static_cast<int64_t>(first), static_cast<int64_t>(second)));
  } else if (kind == Kind::kLognormal) {
    tokens = std::round(first * std::exp(second * random.Normal()));
  }
  return static_cast<int64_t>(std::clamp(tokens, 1.0, static_cast<double>(most)));
}

absl::StatusOr<Lengths> ParseLengths(absl::string_view text) {
  const absl::Status wrong = absl::InvalidArgumentError(absl::StrCat(
      "a length is a number of tokens, uniform:LEAST:MOST or lognormal:MEDIAN:SIGMA[:MOST], not '", text,
      "'"));
  std::vector<absl::string_view> words = absl::StrSplit(text, ':');
  Lengths lengths;
  if (words[0] == "uniform" && words.size() == 3) {
    lengths.kind = Lengths::Kind::kUniform;
  } else if (words[0] == "lognormal" && (words.size() == 3 || words.size() == 4)) {
    lengths.kind = Lengths::Kind::kLognormal;
  } else if (words.size() != 1) {
    return wrong;
  }
  if (words.size() > 1) words.erase(words.begin());
  const bool numbers = absl::SimpleAtod(words[0], &lengths.first) &&
                       (words.size() < 2 || absl::SimpleAtod(words[1], &lengths.second)) &&
                       (words.size() < 3 || absl::SimpleAtoi(words[2], &lengths.most));
  const bool least = lengths.kind != Lengths::Kind::kUniform || lengths.second >= lengths.first;
  const bool sigma =
      lengths.kind != Lengths::Kind::kLognormal || (lengths.second >= 0 && lengths.second < 10);
  if (!numbers || !(lengths.first >= 1 && lengths.first <= 1e6) || !(lengths.second <= 1e6) ||
      lengths.most < 1 || !least || !sigma)
    return wrong;
  return lengths;
}

}  // namespace baton::load
