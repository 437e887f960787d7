#include "tools/report/verdict.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace baton::report {
namespace {

std::string Because(const load::RunRecord& record) {
  const auto found = record.config.find("expected to fail because");
  return found == record.config.end() ? "" : absl::StrCat(": ", found->second);
}

}  // namespace

Said VerdictOf(const load::RunRecord& record) {
  if (!record.valid) return {Tone::kBad, "INVALID", record.invalid_why};
  if (!record.held) {
    if (record.checks.empty()) return {Tone::kNeutral, "MEASURED", "the client kept its schedule"};
    const bool all = HowManyHold(record) == record.checks.size();
    return {all ? Tone::kGood : Tone::kBad, all ? "CHECKS HOLD" : "CHECKS FAILED", ""};
  }
  const char* word = *record.held ? "HELD" : "FAILED";
  if (!record.expected) return {*record.held ? Tone::kGood : Tone::kBad, word, ""};
  if (*record.held == *record.expected) {
    return {Tone::kGood, word, absl::StrCat("as expected", *record.held ? "" : Because(record))};
  }
  return {Tone::kBad, word,
          *record.expected ? "but it was expected to hold"
                           : absl::StrCat("but it was expected to fail", Because(record))};
}

std::vector<load::Check> ChecksInOrder(const load::RunRecord& record) {
  std::vector<load::Check> checks = record.checks;
  std::stable_partition(checks.begin(), checks.end(), [](const load::Check& check) { return !check.ok; });
  return checks;
}

size_t HowManyHold(const load::RunRecord& record) {
  return static_cast<size_t>(std::count_if(record.checks.begin(), record.checks.end(),
                                           [](const load::Check& check) { return check.ok; }));
}

}  // namespace baton::report
