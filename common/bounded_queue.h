#pragma once

// A queue with a bound, between threads. Thread-safe. Pushing never blocks: a full queue says so.

#include <deque>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "common/mutex.h"

namespace baton {

template <typename T>
class BoundedQueue {
 public:
  enum class Push { kDone, kFull, kClosed };

  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}
  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  // `keep_free`: kFull if fewer places than this would be left, so that some pushers have room reserved.
  Push TryPush(T item, size_t keep_free = 0) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    if (closed_) return Push::kClosed;
    if (items_.size() + keep_free >= capacity_) return Push::kFull;
    items_.push_back(std::move(item));
    return Push::kDone;
  }

  // Everything there is, oldest first; waits up to `timeout` for a first item. Empty on timeout, or when the
  // queue is closed and drained.
  std::deque<T> PopAll(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    mutex_.Await([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return closed_ || !items_.empty(); }, timeout);
    return std::exchange(items_, {});
  }

  // From now on pushes are refused and nobody waits; what is in the queue can still be popped.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    closed_ = true;
  }
  bool closed() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return closed_;
  }
  size_t size() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return items_.size();
  }

 private:
  const size_t capacity_;
  mutable Mutex mutex_;
  std::deque<T> items_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace baton
