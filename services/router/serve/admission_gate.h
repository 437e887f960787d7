#pragma once

// Admission (policy/admission.h) shared by all connections. Thread-safe; callbacks run without the lock, on
// whichever thread made room.

#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "services/router/policy/admission.h"

namespace baton::router {

class AdmissionGate {
 public:
  struct Entered {
    AdmissionTicket ticket = 0;
    AdmissionDecision decision;
  };
  struct Load {
    uint64_t inflight, inflight_tokens, queued, queued_tokens;
  };

  AdmissionGate(const AdmissionConfig& config, const Clock& clock) : clock_(clock), admission_(config) {}

  // `settled(admitted)` is called later, at most once, if the answer is kQueued: true when admitted, false
  // when expired.
  Entered Arrive(uint64_t tokens, MonoTime deadline, std::function<void(bool)> settled);
  void Leave(AdmissionTicket ticket);
  void Tick();
  Load load() const;
  absl::Duration RetryAfter() const;

 private:
  using Callbacks = std::vector<std::pair<std::function<void(bool)>, bool>>;
  Callbacks Settle(const AdmissionChanges& changes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  mutable absl::Mutex mutex_;
  Admission admission_ ABSL_GUARDED_BY(mutex_);
  AdmissionTicket next_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<AdmissionTicket, std::function<void(bool)>> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace baton::router
