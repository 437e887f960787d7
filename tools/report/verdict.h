#pragma once

// What a record says in one line, for pages and terminals.

#include <string>
#include <vector>

#include "tools/load/run_record.h"

namespace baton::report {

enum class Tone { kGood, kBad, kNeutral };

struct Said {
  Tone tone = Tone::kNeutral;
  std::string word;    // "HELD", "FAILED", "INVALID", "NO HYPOTHESIS" ...
  std::string detail;  // the rest of the sentence; may be empty
};

// Good is what was expected, also if that was to fail.
Said VerdictOf(const load::RunRecord& record);

// The failed ones first, else in their order.
std::vector<load::Check> ChecksInOrder(const load::RunRecord& record);
size_t HowManyHold(const load::RunRecord& record);

}  // namespace baton::report
