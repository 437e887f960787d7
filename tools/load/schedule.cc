#include "tools/load/schedule.h"

#include "absl/strings/str_cat.h"

namespace baton::load {

absl::Status Schedule::Check(const LoadPlan& plan) {
  const int64_t count = static_cast<int64_t>(plan.requests.size());
  std::vector<bool> followed(plan.requests.size());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t after = plan.requests[i].after;
    if (after < 0) continue;
    if (after >= i || followed[after])
      return absl::InvalidArgumentError(absl::StrCat("request ", i, " cannot come after request ", after));
    followed[after] = true;
  }
  return absl::OkStatus();
}

Schedule::Schedule(const LoadPlan& plan, MonoTime origin)
    : plan_(plan), origin_(origin), next_turn_(plan.requests.size(), -1) {
  for (size_t i = 0; i < plan.requests.size(); ++i) {
    const PlannedRequest& request = plan.requests[i];
    if (request.after >= 0) {
      next_turn_[request.after] = static_cast<int64_t>(i);
    } else {
      due_.push({origin + request.at, i});
    }
  }
}

std::optional<MonoTime> Schedule::NextAt() const {
  if (due_.empty()) return std::nullopt;
  return due_.top().at;
}

std::optional<Schedule::Due> Schedule::TakeDue(MonoTime now) {
  if (due_.empty() || due_.top().at > now) return std::nullopt;
  const Due due = due_.top();
  due_.pop();
  return due;
}

std::optional<size_t> Schedule::TurnAfter(size_t index) const {
  if (next_turn_[index] < 0) return std::nullopt;
  return static_cast<size_t>(next_turn_[index]);
}

void Schedule::Ended(size_t index, MonoTime now) {
  const std::optional<size_t> turn = TurnAfter(index);
  if (!turn) return;
  const MonoTime at = now + plan_.requests[*turn].at;
  if (at - origin_ < plan_.duration) due_.push({at, *turn});
}

}  // namespace baton::load
