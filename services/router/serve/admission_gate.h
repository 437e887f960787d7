#pragma once

// Rate limits (policy/rate_limit.h) and admission (policy/admission.h) shared by all connections.
// Thread-safe; callbacks run without the lock, on whichever thread made room.

#include <functional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "services/router/policy/admission.h"
#include "services/router/policy/rate_limit.h"
#include "services/router/serve/caller.h"

namespace baton::router {

class AdmissionGate {
 public:
  struct Request {
    uint64_t prompt_tokens = 0;  // of all its choices
    uint64_t choices = 1;
    uint64_t most_tokens = 1;  // of a choice's answer
    MonoTime deadline = absl::InfiniteFuture();
  };
  enum class Refusal { kNone, kFull, kRequestRate };
  struct Entered {
    AdmissionTicket ticket = 0;
    AdmissionAnswer answer = AdmissionAnswer::kRejected;
    Refusal refusal = Refusal::kNone;  // of kRejected
    absl::Duration retry_after;        // of kRejected
  };
  struct Used {
    uint64_t tokens = 0;          // prompts and answers
    uint64_t longest_answer = 0;  // of its choices
  };
  struct Load {
    uint64_t inflight, inflight_tokens, queued, queued_tokens, limit;
  };

  // `capacity`: tokens that the decode ranks' pages hold, 0 if unknown; asked now and then, from any thread.
  AdmissionGate(const AdmissionConfig& config, const Clock& clock, std::function<uint64_t()> capacity)
      : clock_(clock), capacity_(std::move(capacity)), admission_(config) {}

  // `settled(admitted)` is called later, at most once, if the answer is kQueued: true when admitted, false
  // when it is rejected after all.
  Entered Arrive(const Caller& caller, const Request& request, std::function<void(bool)> settled);
  void FirstToken(AdmissionTicket ticket);
  void Leave(AdmissionTicket ticket, const Used& used);
  void Tick();
  // How many routers are alive, this one included: rate limits and capacity are divided among them.
  void SetRouters(uint64_t routers);
  Load load() const;
  absl::Duration RetryAfter() const;

 private:
  using Settled = std::function<void(bool)>;
  using Callbacks = std::vector<std::pair<Settled, bool>>;
  struct Taken {
    uint64_t key = 0;
    uint64_t tokens = 0;
    Settled settled;  // of one that waits
  };
  Entered Decide(const Caller& caller, const Request& request, Settled settled, Callbacks& callbacks)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Settle(const std::vector<AdmissionTicket>& tickets, bool admitted, Callbacks& callbacks)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Settle(const AdmissionChanges& changes, Callbacks& callbacks) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LookAtCapacity();

  const Clock& clock_;
  const std::function<uint64_t()> capacity_;
  mutable absl::Mutex mutex_;
  Admission admission_ ABSL_GUARDED_BY(mutex_);
  RateLimiter rates_ ABSL_GUARDED_BY(mutex_);
  uint64_t routers_ ABSL_GUARDED_BY(mutex_) = 1;
  AdmissionTicket next_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<AdmissionTicket, Taken> taken_ ABSL_GUARDED_BY(mutex_);
  MonoTime looked_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace baton::router
