#include "tools/chaos/checks/state_checks.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/chaos/totals.h"

namespace baton::chaos {
namespace {

constexpr char kResident[] = "process_resident_memory_bytes";
constexpr char kHandoffs[] = "baton_router_handoffs_total";

using Totals = std::map<std::pair<std::string, int>, int64_t>;  // by process and rank

// The first rank whose pages are not as many as they were; empty if there is none.
std::string FirstWrong(const Totals& totals, const Snapshot& snapshot) {
  for (const PageCount& count : snapshot.pages) {
    const auto found = totals.find({count.process, count.rank});
    const bool starting = TotalOf(count) == 0;  // again, after it died
    if (found == totals.end() || found->second == TotalOf(count) || starting) continue;
    return absl::StrFormat("%s/%d had %d pages, and %d at %.1f s", count.process, count.rank, found->second,
                           TotalOf(count), snapshot.at_s);
  }
  return "";
}

bool LivedThrough(const std::string& name, const Evidence& evidence) {
  return std::any_of(evidence.processes.begin(), evidence.processes.end(), [&](const ProcessView& process) {
    return process.name == name && process.restarts == 0 && !process.gone;
  });
}

double OutcomeGrowth(const Evidence& evidence, const std::string& outcome) {
  const std::string sample = absl::StrCat(kHandoffs, "{outcome=\"", outcome, "\"}");
  double growth = 0;
  for (const auto& [process, samples] : evidence.after.metrics) {
    const auto after = samples.find(sample);
    if (after == samples.end()) continue;
    growth += after->second;
    const auto there = evidence.before.metrics.find(process);
    if (there == evidence.before.metrics.end()) continue;
    const auto before = there->second.find(sample);
    if (before != there->second.end() && before->second <= after->second) growth -= before->second;
  }
  return growth;
}

}  // namespace

CheckResult PagesAddUp(const Evidence& evidence) {
  CheckResult result{"pages add up", true, ""};
  Totals totals;
  for (const PageCount& count : evidence.before.pages) totals[{count.process, count.rank}] = TotalOf(count);
  size_t looks = 0;
  for (const Snapshot& snapshot : evidence.during) {
    ++looks;
    result.detail = FirstWrong(totals, snapshot);
    if (!result.detail.empty()) break;
  }
  if (result.detail.empty()) result.detail = FirstWrong(totals, evidence.after);
  result.ok = result.detail.empty();
  if (result.ok) result.detail = absl::StrCat("at each of ", looks + 1, " looks");
  return result;
}

CheckResult NothingLeftOpen(const Evidence& evidence) {
  CheckResult result{"nothing is left open", true, ""};
  for (const char* gauge : kOpenGauges) {
    for (const auto& [process, samples] : evidence.after.metrics) {
      const double open = TotalOf(samples, gauge);
      if (open == 0) continue;
      absl::StrAppend(&result.detail, result.detail.empty() ? "" : ", ", open, " ", gauge, " of ", process);
    }
  }
  result.ok = result.detail.empty();
  if (result.ok) result.detail = "no request, call, sequence or pull";
  return result;
}

CheckResult MemoryBounded(double most_mb, const Evidence& evidence) {
  CheckResult result{absl::StrFormat("memory grows by at most %g MB", most_mb), true, ""};
  double most = 0;
  std::string of;
  for (const auto& [process, samples] : evidence.after.metrics) {
    const auto there = evidence.before.metrics.find(process);
    if (there == evidence.before.metrics.end() || !LivedThrough(process, evidence)) continue;
    const double growth = (TotalOf(samples, kResident) - TotalOf(there->second, kResident)) / 1e6;
    if (!of.empty() && growth <= most) continue;
    most = growth;
    of = process;
  }
  if (of.empty()) return {result.name, false, "no process lived through the run and said how large it is"};
  result.ok = most <= most_mb;
  result.detail = absl::StrFormat("most: %s, by %.1f MB", of, most);
  return result;
}

CheckResult HandoffsHeld(double least_share, const Evidence& evidence) {
  CheckResult result{absl::StrFormat("at least %g%% of the handoffs are held", 100 * least_share), false,
                     "there was none"};
  const double held = OutcomeGrowth(evidence, "held"), lost = OutcomeGrowth(evidence, "lost");
  if (held + lost == 0) return result;
  result.ok = held >= least_share * (held + lost);
  result.detail = absl::StrFormat("%.0f of %.0f", held, held + lost);
  return result;
}

}  // namespace baton::chaos
