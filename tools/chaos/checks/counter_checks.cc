#include "tools/chaos/checks/counter_checks.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/chaos/totals.h"

namespace baton::chaos {
namespace {

constexpr double kTellableTokens = 64;  // of a cancelled stream

double Growth(const Evidence& evidence, const std::string& metric) {
  return TotalOf(evidence.after, metric) - TotalOf(evidence.before, metric);
}

bool CountersTell(const Evidence& evidence) {
  return !evidence.after.metrics.empty() && evidence.after.silent.empty() &&
         std::all_of(evidence.processes.begin(), evidence.processes.end(),
                     [](const ProcessView& process) { return process.restarts == 0 && !process.gone; });
}

}  // namespace

CheckResult CancelsStopWork(const Evidence& evidence, const std::vector<StreamRecord>& reference) {
  CheckResult result{"cancelled streams stop being computed", true, "nothing to tell"};
  double delivered = 0, to_come = 0, cancelled = 0;
  for (const StreamRecord& stream : evidence.streams) {
    delivered += static_cast<double>(stream.tokens.size());
    if (!stream.cancelled || stream.index >= reference.size()) continue;
    const size_t whole = reference[stream.index].tokens.size();
    to_come += static_cast<double>(whole - std::min(whole, stream.tokens.size()));
    ++cancelled;
  }
  if (cancelled == 0 || to_come < kTellableTokens * cancelled) return result;
  // A stream that is recomputed samples its first token a second time.
  const double extra = std::max(0.0, Growth(evidence, "baton_generated_tokens_total") - delivered -
                                         static_cast<double>(evidence.streams.size()));
  result.ok = extra < to_come / 2;
  result.detail = absl::StrFormat(
      "%.0f tokens were generated for nobody, of %.0f that %.0f cancelled streams had to come", extra,
      to_come, cancelled);
  return result;
}

CheckResult NoChecksumFails(const Evidence& evidence) {
  const double failures = Growth(evidence, "baton_handoff_checksum_failures_total");
  return {"no checksum fails", failures == 0, absl::StrCat(failures, " units of keys and values")};
}

std::vector<CheckResult> CheckCounters(const Evidence& evidence, const std::vector<StreamRecord>& reference) {
  std::vector<CheckResult> results;
  if (!CountersTell(evidence)) return results;
  if (!reference.empty()) results.push_back(CancelsStopWork(evidence, reference));
  if (evidence.faults.empty()) results.push_back(NoChecksumFails(evidence));
  return results;
}

}  // namespace baton::chaos
