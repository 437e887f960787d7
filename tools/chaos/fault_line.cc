#include "tools/chaos/fault_line.h"

#include <algorithm>

namespace baton::chaos {

FaultLine::FaultLine(const Schedule& schedule) {
  for (size_t i = 0; i < schedule.faults.size(); ++i) {
    const Fault& fault = schedule.faults[i];
    due_.push_back({fault.at, {i, true}});
    if (Lasts(fault.kind)) due_.push_back({fault.at + fault.lasting, {i, false}});
  }
  std::stable_sort(due_.begin(), due_.end(), [](const Due& a, const Due& b) {
    return a.at != b.at ? a.at < b.at : !a.step.begins && b.step.begins;
  });
  std::reverse(due_.begin(), due_.end());
}

std::optional<absl::Duration> FaultLine::NextDue() const {
  if (due_.empty()) return std::nullopt;
  return due_.back().at;
}

std::vector<FaultStep> FaultLine::Take(absl::Duration now) {
  std::vector<FaultStep> steps;
  for (; !due_.empty() && due_.back().at <= now; due_.pop_back()) steps.push_back(due_.back().step);
  return steps;
}

}  // namespace baton::chaos
