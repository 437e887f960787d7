#pragma once

// Finds the highest rate that meets the SLO: doubles until one does not, then halves the gap. Pure.

#include <optional>
#include <vector>

namespace baton::load {

struct SweepSpec {
  double first_rate = 1;
  double least_rate = 0, most_rate = 1e6;
  double precision = 0.05;  // ends when the gap is within this share of the highest good rate
  int most_runs = 20;
};

class Sweep {
 public:
  explicit Sweep(const SweepSpec& spec) : spec_(spec), next_(spec.first_rate) {}

  // The rate to try next; none: it has ended. If the first rate already fails, it goes down by halves.
  std::optional<double> Next() const;
  void Report(bool met);

  std::optional<double> highest_met() const { return met_; }
  std::optional<double> lowest_missed() const { return missed_; }

 private:
  SweepSpec spec_;
  double next_;
  int runs_ = 0;
  std::optional<double> met_, missed_;
};

}  // namespace baton::load
