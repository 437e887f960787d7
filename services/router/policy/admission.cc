#include "services/router/policy/admission.h"

#include <algorithm>
#include <cmath>

namespace baton::router {
namespace {
constexpr double kGapWeight = 0.2;  // of the newest gap in the exponential mean
}  // namespace

bool Admission::Fits(uint64_t tokens) const {
  if (inflight_.empty()) return config_.max_inflight > 0;
  return inflight_.size() < config_.max_inflight && inflight_tokens_ + tokens <= config_.max_inflight_tokens;
}

void Admission::Admit(AdmissionTicket ticket, uint64_t tokens) {
  inflight_.emplace(ticket, tokens);
  inflight_tokens_ += tokens;
}

AdmissionDecision Admission::Arrive(AdmissionTicket ticket, uint64_t tokens, MonoTime deadline,
                                    MonoTime now) {
  if (queue_.empty() && Fits(tokens)) {
    Admit(ticket, tokens);
    return {.answer = AdmissionAnswer::kAdmitted};
  }
  if (queue_.size() >= config_.max_queue || queued_tokens_ + tokens > config_.max_queue_tokens) {
    return {.answer = AdmissionAnswer::kRejected, .retry_after = RetryAfter(now)};
  }
  queue_.push_back({ticket, tokens, std::min(deadline, now + config_.max_queue_time)});
  queued_tokens_ += tokens;
  return {.answer = AdmissionAnswer::kQueued};
}

AdmissionChanges Admission::Leave(AdmissionTicket ticket, MonoTime now) {
  if (auto it = inflight_.find(ticket); it != inflight_.end()) {
    inflight_tokens_ -= it->second;
    inflight_.erase(it);
    NoteEnd(now);
  } else {
    auto waiting =
        std::find_if(queue_.begin(), queue_.end(), [&](const Waiting& w) { return w.ticket == ticket; });
    if (waiting != queue_.end()) {
      queued_tokens_ -= waiting->tokens;
      queue_.erase(waiting);
    }
  }
  return Advance(now);
}

AdmissionChanges Admission::Tick(MonoTime now) {
  return Advance(now);
}

AdmissionChanges Admission::Advance(MonoTime now) {
  AdmissionChanges changes;
  for (auto it = queue_.begin(); it != queue_.end();) {
    if (it->deadline > now) {
      ++it;
      continue;
    }
    changes.expired.push_back(it->ticket);
    queued_tokens_ -= it->tokens;
    it = queue_.erase(it);
  }
  while (!queue_.empty() && Fits(queue_.front().tokens)) {
    const Waiting head = queue_.front();
    queue_.pop_front();
    queued_tokens_ -= head.tokens;
    Admit(head.ticket, head.tokens);
    changes.admitted.push_back(head.ticket);
  }
  return changes;
}

MonoTime Admission::NextDeadline() const {
  MonoTime next = absl::InfiniteFuture();
  for (const Waiting& waiting : queue_) next = std::min(next, waiting.deadline);
  return next;
}

void Admission::NoteEnd(MonoTime now) {
  if (last_end_ != absl::InfinitePast()) {
    const double gap_s = std::max(0.0, absl::ToDoubleSeconds(now - last_end_));
    mean_gap_s_ = mean_gap_s_ == 0 ? gap_s : mean_gap_s_ + kGapWeight * (gap_s - mean_gap_s_);
  }
  last_end_ = now;
}

absl::Duration Admission::RetryAfter(MonoTime now) const {
  double gap_s = mean_gap_s_;
  if (last_end_ != absl::InfinitePast())
    gap_s = std::max(gap_s, absl::ToDoubleSeconds(now - last_end_) * kGapWeight);
  const absl::Duration wait = absl::Seconds(std::ceil(gap_s * static_cast<double>(queue_.size() + 1)));
  return std::clamp(wait, config_.min_retry_after, config_.max_retry_after);
}

}  // namespace baton::router
