#pragma once

// Stop admitting, then drain, as one primitive (after Seastar's gate). Work enters the gate and holds a Pass
// while it lasts; closing lets nobody else in; draining waits, up to a deadline, for the passes to come back.
// Thread-safe. The gate outlives its passes.

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "common/mutex.h"

namespace baton {

class Gate {
 public:
  class Pass {
   public:
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&& other) noexcept {
      if (this == &other) return *this;
      Leave();
      gate_ = std::exchange(other.gate_, nullptr);
      return *this;
    }
    ~Pass() { Leave(); }

   private:
    friend class Gate;
    explicit Pass(Gate* gate) : gate_(gate) {}
    void Leave() {
      if (Gate* gate = std::exchange(gate_, nullptr)) gate->Leave();
    }
    Gate* gate_;
  };

  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // nullopt once the gate is closed.
  std::optional<Pass> Enter() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    if (closed_) return std::nullopt;
    ++inside_;
    return Pass(this);
  }

  void Close() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    closed_ = true;
  }

  // Closes, and waits until nobody is inside; false if somebody still is after `timeout`.
  bool Drain(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    closed_ = true;
    return mutex_.Await([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return inside_ == 0; }, timeout);
  }

  bool closed() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return closed_;
  }
  int64_t inside() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return inside_;
  }

 private:
  void Leave() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    --inside_;
  }

  mutable Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t inside_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace baton
