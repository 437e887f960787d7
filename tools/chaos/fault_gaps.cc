#include "tools/chaos/fault_gaps.h"

#include <algorithm>

namespace baton::chaos {
namespace {

constexpr double kAfter = 5;

struct Span {
  double begin, end;
};

std::optional<double> LongestGap(const StreamRecord& stream, const std::vector<Span>& faults) {
  std::optional<double> longest;
  double before = stream.sent_s;
  for (const double at : stream.token_s) {
    const bool struck = std::any_of(faults.begin(), faults.end(), [&](const Span& fault) {
      return before <= fault.end && at >= fault.begin;
    });
    if (struck) longest = std::max(longest.value_or(0), at - before);
    before = at;
  }
  return longest;
}

}  // namespace

std::vector<double> GapsAtFaults(const Evidence& evidence) {
  std::vector<Span> faults;
  for (const FaultMark& mark : evidence.faults) {
    if (mark.failed.empty()) faults.push_back({mark.began_s, mark.ended_s.value_or(mark.began_s) + kAfter});
  }
  std::vector<double> gaps;
  for (const StreamRecord& stream : evidence.streams) {
    if (const auto gap = LongestGap(stream, faults)) gaps.push_back(*gap);
  }
  return gaps;
}

}  // namespace baton::chaos
