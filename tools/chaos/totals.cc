#include "tools/chaos/totals.h"

#include "absl/strings/match.h"

namespace baton::chaos {

double TotalOf(const Samples& samples, const std::string& metric) {
  double total = 0;
  for (auto at = samples.lower_bound(metric); at != samples.end(); ++at) {
    const auto& [sample, value] = *at;
    if (!absl::StartsWith(sample, metric)) break;
    if (sample.size() == metric.size() || sample[metric.size()] == '{') total += value;
  }
  return total;
}

double TotalOf(const Snapshot& snapshot, const std::string& metric) {
  double total = 0;
  for (const auto& [process, samples] : snapshot.metrics) total += TotalOf(samples, metric);
  return total;
}

int64_t TotalOf(const PageCount& count) {
  int64_t total = 0;
  for (const auto& [name, pages] : count.classes) total += pages;
  return total;
}

}  // namespace baton::chaos
