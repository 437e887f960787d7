#pragma once

// A mutex that both checkers see through: clang's thread-safety analysis by its annotations, and
// ThreadSanitizer because it is made of pthread's own locks (Debian's absl::Mutex is built without
// instrumentation, so that what it orders looks like a race). Conditions are waited for as predicates,
// checked again whenever the mutex is unlocked.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace baton {

class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    if (waiters_ > 0) changed_.notify_all();
    mutex_.unlock();
  }

  // Unlocks, and locks again when `condition` (called with the mutex locked) holds or `timeout` has passed;
  // whether it holds. At most a day is waited.
  template <typename Condition>
  bool Await(Condition condition, absl::Duration timeout)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(this) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const auto deadline =
        std::chrono::steady_clock::now() +
        absl::ToChronoNanoseconds(std::clamp(timeout, absl::ZeroDuration(), absl::Hours(24)));
    std::unique_lock<std::mutex> lock(mutex_, std::adopt_lock);
    ++waiters_;
    // Waiting unlocks without Unlock(): whoever else waits must hear of what the caller changed before.
    if (waiters_ > 1) changed_.notify_all();
    const bool holds = changed_.wait_until(lock, deadline, condition);
    --waiters_;
    lock.release();
    return holds;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiters_ = 0;  // guarded by mutex_
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) { mutex_->Lock(); }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

}  // namespace baton
