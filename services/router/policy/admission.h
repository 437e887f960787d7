#pragma once

// Bounded concurrency and a bounded queue, in requests and in tokens: overload is answered at once and
// politely (429, Retry-After) instead of by growing latency. A decision class: events and `now` in, decisions
// out.
//
// First come, first served: the head of the queue is never overtaken. A request alone is always admitted,
// whatever its tokens (its own limits were checked before).

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/clock.h"

namespace baton::router {

struct AdmissionConfig {
  uint64_t max_inflight = 256;
  uint64_t max_inflight_tokens = 1u << 20;
  uint64_t max_queue = 256;
  uint64_t max_queue_tokens = 1u << 20;
  absl::Duration max_queue_time = absl::Seconds(30);
  absl::Duration min_retry_after = absl::Seconds(1);
  absl::Duration max_retry_after = absl::Seconds(60);
};

using AdmissionTicket = uint64_t;  // chosen by the caller, never used twice

enum class AdmissionAnswer { kAdmitted, kQueued, kRejected };

struct AdmissionDecision {
  AdmissionAnswer answer = AdmissionAnswer::kRejected;
  absl::Duration retry_after;  // of kRejected
};

// What became of queued requests.
struct AdmissionChanges {
  std::vector<AdmissionTicket> admitted;
  std::vector<AdmissionTicket> expired;  // waited until their deadline
};

// Not thread-safe.
class Admission {
 public:
  explicit Admission(const AdmissionConfig& config) : config_(config) {}

  // `tokens`: prompt plus the most it may generate. A queued request expires at `deadline` or after
  // max_queue_time.
  AdmissionDecision Arrive(AdmissionTicket ticket, uint64_t tokens, MonoTime deadline, MonoTime now);
  // An admitted request has ended, or a queued one has gone. Unknown tickets are ignored.
  AdmissionChanges Leave(AdmissionTicket ticket, MonoTime now);
  AdmissionChanges Tick(MonoTime now);
  // When Tick must be called at the latest; InfiniteFuture if nothing waits.
  MonoTime NextDeadline() const;
  // How long a newcomer would wait, from the rate at which requests have lately ended.
  absl::Duration RetryAfter(MonoTime now) const;

  uint64_t inflight() const { return inflight_.size(); }
  uint64_t inflight_tokens() const { return inflight_tokens_; }
  uint64_t queued() const { return queue_.size(); }
  uint64_t queued_tokens() const { return queued_tokens_; }

 private:
  struct Waiting {
    AdmissionTicket ticket;
    uint64_t tokens;
    MonoTime deadline;
  };
  bool Fits(uint64_t tokens) const;
  void Admit(AdmissionTicket ticket, uint64_t tokens);
  AdmissionChanges Advance(MonoTime now);
  void NoteEnd(MonoTime now);

  const AdmissionConfig config_;
  absl::flat_hash_map<AdmissionTicket, uint64_t> inflight_;
  std::deque<Waiting> queue_;
  uint64_t inflight_tokens_ = 0;
  uint64_t queued_tokens_ = 0;
  MonoTime last_end_ = absl::InfinitePast();
  double mean_gap_s_ = 0;  // between ends, exponentially averaged; 0: not known
};

}  // namespace baton::router
