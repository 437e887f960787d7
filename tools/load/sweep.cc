#include "tools/load/sweep.h"

#include <algorithm>

namespace baton::load {

std::optional<double> Sweep::Next() const {
  const bool narrow = met_ && missed_ && *missed_ - *met_ <= spec_.precision * *met_;
  const bool at_the_end = met_ && *met_ >= spec_.most_rate;
  const bool too_low = next_ < spec_.least_rate;
  if (narrow || at_the_end || too_low || runs_ >= spec_.most_runs) return std::nullopt;
  return next_;
}

void Sweep::Report(bool met) {
  ++runs_;
  (met ? met_ : missed_) = next_;
  if (met_ && missed_) {
    next_ = (*met_ + *missed_) / 2;
  } else {
    next_ = met_ ? std::min(*met_ * 2, spec_.most_rate) : *missed_ / 2;
  }
}

}  // namespace baton::load
