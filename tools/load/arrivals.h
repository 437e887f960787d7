#pragma once

// When requests arrive. Pure: all from the seed.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tools/load/random.h"

namespace baton::load {

enum class ArrivalKind {
  kConstant,  // every 1/rate
  kPoisson,
  kGamma,  // gaps with a coefficient of variation of `cv`: over 1 comes in bursts
  kRamp,   // Poisson, its rate going evenly from `rate` to `rate_to`
};
absl::StatusOr<ArrivalKind> ParseArrivalKind(
    absl::string_view name);  // "constant", "poisson", "gamma", "ramp"

struct ArrivalSpec {
  ArrivalKind kind = ArrivalKind::kPoisson;
  double rate = 1;  // a second, over 0
  double rate_to = 1, cv = 2;
  absl::Duration duration = absl::Seconds(30);
  int64_t most = 1000000;
  uint64_t seed = 1;
};

inline constexpr int64_t kMostRequests = 2000000;

// In order, all before the duration's end. INVALID_ARGUMENT for what is out of range or gives over
// kMostRequests.
absl::StatusOr<std::vector<absl::Duration>> Arrivals(const ArrivalSpec& spec);

// Numbers of tokens: "128", "uniform:LEAST:MOST" or "lognormal:MEDIAN:SIGMA[:MOST]" (sigma of the logarithm).
struct Lengths {
  enum class Kind { kFixed, kUniform, kLognormal };
  Kind kind = Kind::kFixed;
  double first = 128, second = 0;
  int64_t most = 1000000;

  int64_t Draw(Random& random) const;  // 1 to `most`
};
absl::StatusOr<Lengths> ParseLengths(absl::string_view text);

}  // namespace baton::load
