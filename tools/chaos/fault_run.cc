#include "tools/chaos/fault_run.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tools/chaos/fault_line.h"

namespace baton::chaos {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(50);

int RestartsOf(const std::vector<ProcessView>& processes, const std::string& name, bool* up) {
  for (const ProcessView& process : processes) {
    if (process.name != name) continue;
    *up = process.alive && !process.http.empty();
    return process.restarts;
  }
  *up = false;
  return 0;
}

}  // namespace

FaultRun::FaultRun(Driver& driver, const Schedule& schedule, MonoTime start)
    : driver_(driver),
      schedule_(schedule),
      start_(start),
      injector_(driver),
      restarts_before_(schedule.faults.size(), 0) {
  for (const Fault& fault : schedule_.faults) {
    FaultMark& mark = marks_.emplace_back();
    mark.fault = fault;
    mark.failed = "the load was over before";
  }
  thread_ = std::thread([this] { Work(); });
}

FaultRun::~FaultRun() {
  (void)Stop();
}

void FaultRun::Work() {
  FaultLine line(schedule_);
  for (;;) {
    for (const FaultStep& step : line.Take(clock_.Now() - start_)) Carry(step.index, step.begins);
    NoteReturns();
    const MonoTime next =
        std::min(clock_.Now() + kTick, start_ + line.NextDue().value_or(absl::InfiniteDuration()));
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_), std::max(next - clock_.Now(), absl::ZeroDuration()));
    if (stopping_) return;
  }
}

void FaultRun::Carry(size_t index, bool begins) {
  const Fault& fault = schedule_.faults[index];
  bool up = false;
  if (begins && Ends(fault.kind))
    restarts_before_[index] = RestartsOf(driver_.Processes(), fault.target, &up);
  const absl::Status done = begins ? injector_.Begin(index, fault) : injector_.End(index);
  const double now = Seconds();
  absl::MutexLock lock(&mutex_);
  FaultMark& mark = marks_[index];
  if (begins) {
    mark.began_s = now;
    mark.failed = std::string(done.message());
  } else {
    mark.ended_s = now;
    if (!done.ok()) mark.failed = absl::StrCat("could not be undone: ", done.message());
  }
  last_ = absl::StrCat(begins ? "" : "over: ", Describe(fault), done.ok() ? "" : " (failed)");
}

// When a process that was ended answers again.
void FaultRun::NoteReturns() {
  const std::vector<ProcessView> processes = driver_.Processes();
  const double now = Seconds();
  absl::MutexLock lock(&mutex_);
  for (size_t i = 0; i < marks_.size(); ++i) {
    FaultMark& mark = marks_[i];
    if (!Ends(mark.fault.kind) || !mark.failed.empty() || mark.ended_s) continue;
    bool up = false;
    if (RestartsOf(processes, mark.fault.target, &up) > restarts_before_[i] && up) mark.ended_s = now;
  }
}

std::vector<FaultMark> FaultRun::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  const absl::Status undone = injector_.EndAll();
  const double now = Seconds();
  absl::MutexLock lock(&mutex_);
  for (FaultMark& mark : marks_) {
    if (!Lasts(mark.fault.kind) || !mark.failed.empty() || mark.ended_s) continue;
    mark.ended_s = now;
    if (!undone.ok()) mark.failed = absl::StrCat("could not be undone: ", undone.message());
  }
  return marks_;
}

std::string FaultRun::last() const {
  absl::MutexLock lock(&mutex_);
  return last_;
}

}  // namespace baton::chaos
