#pragma once

// Looks at a cluster again and again while a load runs, on a thread of its own.

#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "tools/chaos/driver.h"
#include "tools/chaos/evidence.h"

namespace baton::chaos {

class Sampler {
 public:
  // A look each `every`; their times count from `start`. The driver must outlive it.
  Sampler(Driver& driver, MonoTime start, absl::Duration every);
  ~Sampler();

  // Ends the looks; what they saw: of each only its time and its pages. After 20,000 looks it goes on without
  // keeping more.
  std::vector<Snapshot> Stop();

 private:
  void Work();

  const SteadyClock clock_;
  Driver& driver_;
  const MonoTime start_;
  const absl::Duration every_;
  std::vector<Snapshot> seen_;  // the thread's until it is joined
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace baton::chaos
