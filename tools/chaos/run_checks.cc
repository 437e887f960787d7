#include "tools/chaos/run_checks.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/chaos/checks/state_checks.h"
#include "tools/chaos/fault_gaps.h"
#include "tools/chaos/snapshot.h"
#include "tools/chaos/totals.h"

namespace baton::chaos {
namespace {

constexpr double kSteadySeconds = 2;
constexpr absl::string_view kRefused = "429:";  // how such an error begins

std::string Of(size_t good, size_t all) {
  return absl::StrCat(good, " of ", all);
}

CheckResult StreamsEnd(const Evidence& evidence) {
  CheckResult result{"every stream ends", true, ""};
  size_t ended = 0;
  for (const StreamRecord& stream : evidence.streams) {
    const bool over = stream.ended_s && (stream.Finished() || !stream.error.empty() || stream.cancelled);
    ended += over ? 1 : 0;
    if (over || !result.detail.empty()) continue;
    result.detail =
        absl::StrCat("; first: request ", stream.index, " (", stream.id, "), ", stream.tokens.size(),
                     " tokens", stream.ended_s ? ", ended without a reason" : "");
  }
  result.ok = ended == evidence.streams.size() && ended > 0;
  result.detail = Of(ended, evidence.streams.size()) + result.detail;
  return result;
}

CheckResult FewErrors(int most, bool refusals_count, const Evidence& evidence) {
  int errors = 0, refused = 0;
  std::string first;
  for (const StreamRecord& stream : evidence.streams) {
    if (stream.error.empty()) continue;
    if (!refusals_count && absl::StartsWith(stream.error, kRefused)) {
      ++refused;
      continue;
    }
    if (errors++ == 0)
      first = absl::StrFormat("; first: request %d at %.1f s: %s", stream.index, stream.ended_s.value_or(0),
                              stream.error);
  }
  return {absl::StrCat("at most ", most, " streams end in an error"), errors <= most,
          absl::StrCat(errors, " of ", evidence.streams.size(), first,
                       refusals_count ? std::string() : absl::StrFormat("; %d refused", refused))};
}

CheckResult TokensEqual(const Evidence& evidence, const std::vector<StreamRecord>& reference) {
  CheckResult result{"tokens equal the oracle's", true, ""};
  size_t equal = 0, compared = 0;
  for (const StreamRecord& stream : evidence.streams) {
    if (stream.tokens.empty() && !stream.Finished()) continue;
    ++compared;
    const bool known = stream.index < reference.size();
    const auto at = known ? FirstDifference(stream, reference[stream.index]) : std::optional<size_t>(0);
    if (!at) {
      ++equal;
    } else if (result.ok) {
      result.ok = false;
      const auto token = [&](const std::vector<int32_t>& tokens) {
        return *at < tokens.size() ? absl::StrCat(tokens[*at]) : std::string("the end");
      };
      result.detail = absl::StrCat("; first: request ", stream.index, " (", stream.id, ") at token ", *at,
                                   ": ", token(stream.tokens), ", the oracle ",
                                   known ? token(reference[stream.index].tokens) : "knows no such request");
    }
  }
  result.detail = Of(equal, compared) + result.detail;
  result.ok = result.ok && compared > 0;
  return result;
}

CheckResult NoLeak(const Evidence& evidence) {
  CheckResult result{"no page leaks", true, ""};
  if (const std::string why = WhyNotIdle(evidence.after); !why.empty()) return {result.name, false, why};
  int64_t pages = 0;
  for (const PageCount& count : evidence.after.pages) {
    pages += TotalOf(count);
    for (const PageCount& before : evidence.before.pages) {
      if (before.process != count.process || before.rank != count.rank || TotalOf(before) == TotalOf(count))
        continue;
      return {result.name, false,
              absl::StrCat(count.process, "/", count.rank, " had ", TotalOf(before), " pages, has ",
                           TotalOf(count))};
    }
  }
  result.detail = absl::StrFormat("%d pages free or cached, %.1f s after the last stream", pages,
                                  std::max(0.0, evidence.after.at_s - evidence.drained_s));
  return result;
}

CheckResult Recovers(const Recovery& recovery, const Evidence& evidence) {
  const auto time = RecoveryTime(recovery, evidence);
  CheckResult result{
      absl::StrFormat("%s is back within %s", recovery.series, absl::FormatDuration(recovery.within)), false,
      "never"};
  if (!time) return result;
  result.ok = *time <= absl::ToDoubleSeconds(recovery.within);
  result.detail = absl::StrFormat("%.1f s after the last fault's end", *time);
  return result;
}

CheckResult GapsBounded(absl::Duration most, const Evidence& evidence) {
  CheckResult result{absl::StrCat("no stream waits longer than ", absl::FormatDuration(most), " at a fault"),
                     false, "no stream ran at a fault"};
  const std::vector<double> gaps = GapsAtFaults(evidence);
  if (gaps.empty()) return result;
  const double longest = *std::max_element(gaps.begin(), gaps.end());
  result.ok = longest <= absl::ToDoubleSeconds(most);
  result.detail = absl::StrFormat("longest of %d streams: %.2f s", gaps.size(), longest);
  return result;
}

CheckResult Within(const Bound& bound, const Evidence& evidence) {
  CheckResult result{bound.metric, false, "no such figure, or too few samples"};
  if (bound.at_least) absl::StrAppend(&result.name, " >= ", *bound.at_least);
  if (bound.at_most) absl::StrAppend(&result.name, " <= ", *bound.at_most);
  const auto found = evidence.figures.find(bound.metric);
  if (found == evidence.figures.end()) return result;
  result.ok = (!bound.at_least || found->second >= *bound.at_least) &&
              (!bound.at_most || found->second <= *bound.at_most);
  result.detail = absl::StrFormat("%.4g", found->second);
  return result;
}

CheckResult FaultsWereCarriedOut(const Evidence& evidence) {
  CheckResult result{"every fault was carried out and undone", true, ""};
  size_t done = 0;
  for (const FaultMark& mark : evidence.faults) {
    if (mark.failed.empty()) {
      ++done;
    } else if (result.ok) {
      result.ok = false;
      result.detail = absl::StrCat("; first: ", Describe(mark.fault), ": ", mark.failed);
    }
  }
  result.detail = Of(done, evidence.faults.size()) + result.detail;
  return result;
}

}  // namespace

std::optional<size_t> FirstDifference(const StreamRecord& stream, const StreamRecord& oracle) {
  const auto [at, there] =
      std::mismatch(stream.tokens.begin(), stream.tokens.end(), oracle.tokens.begin(), oracle.tokens.end());
  if (at != stream.tokens.end()) return static_cast<size_t>(at - stream.tokens.begin());
  if (stream.Finished() && there != oracle.tokens.end()) return stream.tokens.size();
  return std::nullopt;
}

std::optional<double> RecoveryTime(const Recovery& recovery, const Evidence& evidence) {
  double first = 1e9, last = 0;
  for (const FaultMark& mark : evidence.faults) {
    if (!mark.failed.empty()) continue;
    first = std::min(first, mark.began_s);
    last = std::max(last, mark.ended_s.value_or(mark.began_s));
  }
  if (last == 0) return 0;
  const auto found = evidence.series.find(recovery.series);
  if (found == evidence.series.end() || evidence.bin_s <= 0) return std::nullopt;
  const std::vector<std::optional<double>>& series = found->second;
  std::vector<double> before;
  for (size_t i = 0; i < series.size() && static_cast<double>(i + 1) * evidence.bin_s <= first; ++i) {
    if (series[i]) before.push_back(*series[i]);
  }
  if (before.empty()) return std::nullopt;
  std::nth_element(before.begin(), before.begin() + before.size() / 2, before.end());
  const double wanted = recovery.factor * before[before.size() / 2];
  // A mean over the steady time, as arrivals are uneven.
  const size_t window = std::max<size_t>(1, static_cast<size_t>(kSteadySeconds / evidence.bin_s));
  for (size_t i = static_cast<size_t>(last / evidence.bin_s); i + window <= series.size(); ++i) {
    double sum = 0;
    for (size_t j = i; j < i + window; ++j) sum += series[j].value_or(0);
    if (sum / static_cast<double>(window) >= wanted)
      return std::max(0.0, static_cast<double>(i) * evidence.bin_s - last);
  }
  return std::nullopt;
}

std::vector<CheckResult> CheckRun(const CheckSpec& spec, const Evidence& evidence,
                                  const std::vector<StreamRecord>& reference) {
  std::vector<CheckResult> results;
  if (!evidence.faults.empty()) results.push_back(FaultsWereCarriedOut(evidence));
  if (spec.streams_end) results.push_back(StreamsEnd(evidence));
  if (spec.errors_at_most)
    results.push_back(FewErrors(*spec.errors_at_most, spec.refusals_are_errors, evidence));
  if (spec.tokens_equal) results.push_back(TokensEqual(evidence, reference));
  if (spec.no_leak) {
    results.push_back(NoLeak(evidence));
    results.push_back(NothingLeftOpen(evidence));
  }
  if (spec.pages_add_up) results.push_back(PagesAddUp(evidence));
  if (spec.memory_growth_mb) results.push_back(MemoryBounded(*spec.memory_growth_mb, evidence));
  if (spec.handoffs_held) results.push_back(HandoffsHeld(*spec.handoffs_held, evidence));
  if (spec.recovery) results.push_back(Recovers(*spec.recovery, evidence));
  if (spec.gap_at_faults) results.push_back(GapsBounded(*spec.gap_at_faults, evidence));
  for (const Bound& bound : spec.bounds) results.push_back(Within(bound, evidence));
  return results;
}

}  // namespace baton::chaos
