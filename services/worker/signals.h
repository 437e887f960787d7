#pragma once

// SIGTERM and SIGINT as something to wait for. The second one ends the process at once with code 130.

#include <signal.h>

#include <atomic>
#include <thread>

#include "absl/synchronization/notification.h"

namespace baton {

class StopSignals {
 public:
  // Before any other thread is started: they inherit the blocked signals.
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Until the first signal. Thread-safe.
  void Wait() { first_.WaitForNotification(); }

 private:
  void Run();

  sigset_t set_;
  absl::Notification first_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace baton
