#pragma once

// Who is let in, who waits, and who is told at once to come again later: overload is answered by 429 with
// Retry-After instead of by growing latency. A decision class: events and `now` in, decisions out.
//
// A request is let in while the limit of requests (admission_limit.h) and of tokens allows: the lower of
// max_inflight_tokens and what the workers' pages hold. A request alone is always let in, whatever its tokens
// (its own limits were checked before). The others wait in a bounded fair queue (fair_queue.h), whose head is
// never overtaken by one that needs less.
//
// With a target for the first token, a request waits only if it would still meet it: its wait is predicted
// from the tokens before it and the rate at which tokens of ended requests were given back while others
// waited, and what is left of the target must suffice for the time that admitted requests lately took.

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "services/router/policy/admission_limit.h"
#include "services/router/policy/fair_queue.h"

namespace baton::router {

struct AdmissionConfig {
  uint64_t max_inflight = 256;
  uint64_t max_inflight_tokens = 1u << 20;
  uint64_t max_queue = 256;  // of each priority, as is the next
  uint64_t max_queue_tokens = 1u << 20;
  absl::Duration max_queue_time = absl::Seconds(30);
  absl::Duration min_retry_after = absl::Seconds(1);
  absl::Duration max_retry_after = absl::Seconds(60);
  // Infinite: none. Half of the first is for work, the rest for waiting.
  absl::Duration ttft_slo = absl::InfiniteDuration();
  absl::Duration itl_slo = absl::InfiniteDuration();  // mean gap between a request's tokens
};

struct AdmissionRequest {
  uint64_t tokens = 0;  // prompt, and what it is expected to generate
  MonoTime deadline = absl::InfiniteFuture();
  int priority = 0;
  FairFlow flow;
};

enum class AdmissionAnswer { kAdmitted, kQueued, kRejected };

struct AdmissionDecision {
  AdmissionAnswer answer = AdmissionAnswer::kRejected;
  absl::Duration retry_after;              // of kRejected
  std::vector<AdmissionTicket> displaced;  // queued until now, and rejected in favour of this one
};

// What became of queued requests.
struct AdmissionChanges {
  std::vector<AdmissionTicket> admitted;
  std::vector<AdmissionTicket> expired;  // waited until their deadline
};

// Not thread-safe.
class Admission {
 public:
  explicit Admission(const AdmissionConfig& config);

  // A queued request expires at its deadline, after max_queue_time, or when it cannot meet ttft_slo any more.
  AdmissionDecision Arrive(AdmissionTicket ticket, const AdmissionRequest& request, MonoTime now);
  // An admitted request has its first token.
  void FirstToken(AdmissionTicket ticket, MonoTime now);
  // An admitted request has ended with so many tokens of its (longest) answer, or a queued one has gone.
  // Unknown tickets are ignored.
  AdmissionChanges Leave(AdmissionTicket ticket, MonoTime now, uint64_t answer_tokens = 0);
  AdmissionChanges Tick(MonoTime now);
  // What the pages of all decode ranks hold (this router's share of it); 0: unknown.
  AdmissionChanges SetCapacity(uint64_t tokens, MonoTime now);
  // When Tick must be called at the latest; InfiniteFuture if nothing waits.
  MonoTime NextDeadline() const { return queue_.NextDeadline(); }
  // How long a newcomer would wait.
  absl::Duration RetryAfter(MonoTime now) const;
  // To count for an answer that may have `most` tokens: no more than twice what answers lately had.
  uint64_t ExpectedAnswer(uint64_t most) const;

  uint64_t limit() const { return limit_.value(); }
  uint64_t inflight() const { return inflight_.size(); }
  uint64_t inflight_tokens() const { return inflight_tokens_; }
  uint64_t queued() const { return queue_.size(); }
  uint64_t queued_tokens() const { return queue_.tokens(); }

 private:
  struct Inflight {
    uint64_t tokens;
    MonoTime admitted;
    MonoTime first_token = absl::InfiniteFuture();
  };
  bool Fits(uint64_t tokens) const;
  void Admit(const Waiting& waiting, MonoTime now);
  AdmissionChanges Advance(MonoTime now);
  void NoteEnd(uint64_t tokens, MonoTime now);
  absl::Duration WaitFor(uint64_t tokens_before, MonoTime now) const;
  absl::Duration MayWait() const;
  absl::Duration Retry(absl::Duration wait) const;

  const AdmissionConfig config_;
  AdmissionLimit limit_;
  FairQueue queue_;
  absl::flat_hash_map<AdmissionTicket, Inflight> inflight_;
  uint64_t inflight_tokens_ = 0;
  uint64_t capacity_ = 0;
  // Tokens given back, and the seconds that it took, while some request waited; both fade.
  double ended_tokens_ = 0, ended_seconds_ = 0;
  MonoTime busy_since_ = absl::InfiniteFuture();  // or since the last end, if later
  // From admission to the first token: mean, and mean deviation from it.
  double work_s_ = 0, work_deviation_s_ = 0;
  double answer_tokens_;
};

}  // namespace baton::router
