#pragma once

// Carries a schedule out on a thread of its own, and writes down what really happened when. Everything is
// undone when it goes.

#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "tools/chaos/driver.h"
#include "tools/chaos/evidence.h"
#include "tools/chaos/injector.h"

namespace baton::chaos {

class FaultRun {
 public:
  // Faults count from `start`. The driver must outlive it.
  FaultRun(Driver& driver, const Schedule& schedule, MonoTime start);
  ~FaultRun();

  // Undoes what lasts and begins no more; then the marks, one for each fault of the schedule. A process that
  // was not yet back has no end.
  std::vector<FaultMark> Stop();
  // What happened last, in words, for the progress line.
  std::string last() const;

 private:
  void Work();
  void Carry(size_t index, bool begins) ABSL_LOCKS_EXCLUDED(mutex_);
  void NoteReturns() ABSL_LOCKS_EXCLUDED(mutex_);
  double Seconds() const { return absl::ToDoubleSeconds(clock_.Now() - start_); }

  const SteadyClock clock_;
  Driver& driver_;
  const Schedule schedule_;
  const MonoTime start_;
  Injector injector_;                 // the thread's until it is joined
  std::vector<int> restarts_before_;  // by fault, of the process it ended; the thread's

  mutable absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<FaultMark> marks_ ABSL_GUARDED_BY(mutex_);
  std::string last_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace baton::chaos
