#pragma once

// Collects a node's events; a test waits for them with a deadline.

#include <map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/kv_transfer/handoff/types.h"

namespace baton::testing {

class EventLog final : public HandoffEventSink {
 public:
  void OnHandoffEvent(HandoffEvent event) override {
    absl::MutexLock lock(&mutex_);
    events_.push_back(std::move(event));
  }
  template <typename Event>
  std::vector<Event> Of() const {
    absl::MutexLock lock(&mutex_);
    return OfLocked<Event>();
  }
  // Whether `count` events of the type have come before `timeout`.
  template <typename Event>
  bool WaitFor(size_t count, absl::Duration timeout = absl::Seconds(20)) const {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return OfLocked<Event>().size() >= count;
    };
    return mutex_.AwaitWithTimeout(absl::Condition(&enough), timeout);
  }

 private:
  template <typename Event>
  std::vector<Event> OfLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<Event> out;
    for (const HandoffEvent& event : events_) {
      if (const auto* e = std::get_if<Event>(&event)) out.push_back(*e);
    }
    return out;
  }
  mutable absl::Mutex mutex_;
  std::vector<HandoffEvent> events_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace baton::testing
