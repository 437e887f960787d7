#pragma once

// SIGTERM and SIGINT as something to wait for. The second one ends the process at once with code 130.

#include <signal.h>

#include <atomic>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "common/mutex.h"

namespace baton {

class StopSignals {
 public:
  // Before any other thread is started: they inherit the blocked signals.
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Until the first signal, or for `longest`; whether there was one. Thread-safe.
  bool WaitFor(absl::Duration longest);

 private:
  void Run();

  sigset_t set_;
  Mutex mutex_;
  bool signalled_ ABSL_GUARDED_BY(mutex_) = false;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace baton
