#include "tools/chaos/shrink.h"

#include <algorithm>

namespace baton::chaos {
namespace {

constexpr absl::Duration kShortest = absl::Milliseconds(100);

// Part `index` of `parts` even ones, or all but that.
std::vector<Fault> Select(const std::vector<Fault>& faults, size_t parts, size_t index, bool complement) {
  const size_t begin = faults.size() * index / parts, end = faults.size() * (index + 1) / parts;
  std::vector<Fault> chosen;
  for (size_t i = 0; i < faults.size(); ++i) {
    if ((i >= begin && i < end) != complement) chosen.push_back(faults[i]);
  }
  return chosen;
}

}  // namespace

Shrinker::Shrinker(Schedule failing, int most_runs) : best_(std::move(failing)), most_runs_(most_runs) {}

std::optional<Schedule> Shrinker::Next() {
  if (runs_ >= most_runs_) return std::nullopt;
  if (!empty_tried_) {
    trying_ = Schedule{best_.seed, {}};
    return trying_;
  }
  std::optional<Schedule> next = removing_ ? NextPart() : std::nullopt;
  if (!next) {
    removing_ = false;
    next = NextShorter();
  }
  if (next) trying_ = *next;
  return next;
}

std::optional<Schedule> Shrinker::NextPart() {
  const size_t count = best_.faults.size();
  if (count < 2) return std::nullopt;
  parts_ = std::min(parts_, count);
  // With two parts, each is the other's complement.
  if (at_ >= (parts_ == 2 ? parts_ : 2 * parts_)) {
    if (parts_ == count) return std::nullopt;
    parts_ = std::min(2 * parts_, count);
    at_ = 0;
  }
  return Schedule{best_.seed, Select(best_.faults, parts_, at_ % parts_, at_ >= parts_)};
}

std::optional<Schedule> Shrinker::NextShorter() {
  for (; shortening_ < best_.faults.size(); ++shortening_) {
    const Fault& fault = best_.faults[shortening_];
    if (!Lasts(fault.kind) || fault.lasting / 2 < kShortest) continue;
    Schedule shorter = best_;
    shorter.faults[shortening_].lasting = absl::Trunc(fault.lasting / 2, absl::Milliseconds(1));
    return shorter;
  }
  return std::nullopt;
}

void Shrinker::Report(bool fails) {
  ++runs_;
  if (!empty_tried_) {
    empty_tried_ = true;
    if (fails) best_ = trying_;
    return;
  }
  if (!removing_) {
    if (fails) {
      best_ = trying_;
    } else {
      ++shortening_;
    }
    return;
  }
  if (!fails) {
    ++at_;
    return;
  }
  const bool complement = at_ >= parts_;
  best_ = trying_;
  parts_ = complement ? std::max<size_t>(parts_ - 1, 2) : 2;
  at_ = 0;
}

}  // namespace baton::chaos
