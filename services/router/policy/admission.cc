#include "services/router/policy/admission.h"

#include <algorithm>
#include <cmath>

namespace baton::router {
namespace {

constexpr double kWorkShare = 0.5;     // of ttft_slo, for admitted requests
constexpr double kNewest = 0.1;        // weight in exponential means
constexpr double kRateMemory_s = 30;   // of busy time
constexpr double kDeviations = 2;      // above the mean, that work is taken to last
constexpr double kSureOfWait = 0.75;   // the share of a wait that may be planned with
constexpr double kFirstAnswers = 128;  // twice this is what a first answer counts for

AdmissionLimitConfig LimitConfig(const AdmissionConfig& config) {
  return {.most = config.max_inflight,
          .first_token_target = config.ttft_slo * kWorkShare,
          .gap_target = config.itl_slo};
}

}  // namespace

Admission::Admission(const AdmissionConfig& config)
    : config_(config),
      limit_(LimitConfig(config)),
      queue_({.requests = config.max_queue, .tokens = config.max_queue_tokens}),
      answer_tokens_(kFirstAnswers) {}

bool Admission::Fits(uint64_t tokens) const {
  if (inflight_.empty()) return config_.max_inflight > 0;
  uint64_t most = config_.max_inflight_tokens;
  if (capacity_ > 0) most = std::min(most, capacity_);
  return inflight_.size() < limit_.value() && inflight_tokens_ + tokens <= most;
}

void Admission::Admit(const Waiting& waiting, MonoTime now) {
  inflight_.emplace(waiting.ticket, Inflight{.tokens = waiting.tokens, .admitted = now});
  inflight_tokens_ += waiting.tokens;
}

AdmissionDecision Admission::Arrive(AdmissionTicket ticket, const AdmissionRequest& request, MonoTime now) {
  Waiting waiting{.ticket = ticket,
                  .tokens = request.tokens,
                  .priority = request.priority,
                  .flow = request.flow,
                  .deadline = std::min(request.deadline, now + config_.max_queue_time)};
  if (queue_.size() == 0 && Fits(request.tokens)) {
    queue_.Pass(waiting);
    Admit(waiting, now);
    return {.answer = AdmissionAnswer::kAdmitted};
  }
  limit_.HeldBack();
  const absl::Duration wait = WaitFor(queue_.TokensBefore(waiting) + request.tokens, now);
  const absl::Duration may_wait = MayWait();
  if (wait > may_wait * kSureOfWait) return {.retry_after = Retry(wait - may_wait * kSureOfWait)};
  waiting.deadline = std::min(waiting.deadline, now + may_wait);
  FairQueue::Pushed pushed = queue_.Push(waiting);
  if (!pushed.queued) return {.retry_after = RetryAfter(now)};
  busy_since_ = std::min(busy_since_, now);
  return {.answer = AdmissionAnswer::kQueued, .displaced = std::move(pushed.displaced)};
}

void Admission::FirstToken(AdmissionTicket ticket, MonoTime now) {
  const auto it = inflight_.find(ticket);
  if (it == inflight_.end() || it->second.first_token != absl::InfiniteFuture()) return;
  it->second.first_token = now;
  const double took_s = std::max(0.0, absl::ToDoubleSeconds(now - it->second.admitted));
  if (work_s_ == 0) work_s_ = took_s;
  work_deviation_s_ += kNewest * (std::abs(took_s - work_s_) - work_deviation_s_);
  work_s_ += kNewest * (took_s - work_s_);
  limit_.FirstToken(it->second.admitted, now);
}

AdmissionChanges Admission::Leave(AdmissionTicket ticket, MonoTime now, uint64_t answer_tokens) {
  if (auto it = inflight_.find(ticket); it != inflight_.end()) {
    const Inflight ended = it->second;
    inflight_tokens_ -= ended.tokens;
    inflight_.erase(it);
    NoteEnd(ended.tokens, now);
    if (answer_tokens > 0) answer_tokens_ += kNewest * (static_cast<double>(answer_tokens) - answer_tokens_);
    if (answer_tokens > 1 && ended.first_token <= now) {
      const absl::Duration gap = (now - ended.first_token) / static_cast<double>(answer_tokens - 1);
      limit_.MeanGap(ended.admitted, gap, now);
    }
  } else {
    queue_.Remove(ticket);
  }
  return Advance(now);
}

AdmissionChanges Admission::Tick(MonoTime now) {
  return Advance(now);
}

AdmissionChanges Admission::SetCapacity(uint64_t tokens, MonoTime now) {
  capacity_ = tokens;
  return Advance(now);
}

AdmissionChanges Admission::Advance(MonoTime now) {
  AdmissionChanges changes{.expired = queue_.Expire(now)};
  for (const Waiting* head = queue_.Head(); head != nullptr && Fits(head->tokens); head = queue_.Head()) {
    const Waiting next = queue_.Pop();
    Admit(next, now);
    changes.admitted.push_back(next.ticket);
  }
  if (queue_.size() == 0) busy_since_ = absl::InfiniteFuture();
  return changes;
}

void Admission::NoteEnd(uint64_t tokens, MonoTime now) {
  if (busy_since_ > now) return;
  const double passed_s = absl::ToDoubleSeconds(now - busy_since_);
  const double kept = std::exp(-passed_s / kRateMemory_s);
  ended_tokens_ = ended_tokens_ * kept + static_cast<double>(tokens);
  ended_seconds_ = ended_seconds_ * kept + passed_s;
  busy_since_ = now;
}

// Until as many tokens have been given back; zero while the rate is unknown.
absl::Duration Admission::WaitFor(uint64_t tokens_before, MonoTime now) const {
  if (ended_tokens_ == 0) return absl::ZeroDuration();
  const double silent_s = busy_since_ > now ? 0 : absl::ToDoubleSeconds(now - busy_since_);
  return absl::Seconds(static_cast<double>(tokens_before) * (ended_seconds_ + silent_s) / ended_tokens_);
}

absl::Duration Admission::MayWait() const {
  if (config_.ttft_slo == absl::InfiniteDuration()) return absl::InfiniteDuration();
  const absl::Duration work = absl::Seconds(work_s_ + kDeviations * work_deviation_s_);
  return std::max(absl::ZeroDuration(), config_.ttft_slo - work);
}

absl::Duration Admission::Retry(absl::Duration wait) const {
  return std::clamp(absl::Ceil(wait, absl::Seconds(1)), config_.min_retry_after, config_.max_retry_after);
}

absl::Duration Admission::RetryAfter(MonoTime now) const {
  const uint64_t one = inflight_.empty() ? 0 : inflight_tokens_ / inflight_.size();
  return Retry(WaitFor(queue_.tokens() + one, now));
}

uint64_t Admission::ExpectedAnswer(uint64_t most) const {
  return std::min(most, static_cast<uint64_t>(std::ceil(2 * answer_tokens_)));
}

}  // namespace baton::router
