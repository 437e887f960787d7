#include "services/worker/signals.h"

#include <pthread.h>

#include <cstdlib>

namespace baton {
namespace {

constexpr int kInterrupted = 130;
constexpr timespec kLook{.tv_sec = 0, .tv_nsec = 100'000'000};

}  // namespace

StopSignals::StopSignals() {
  sigemptyset(&set_);
  sigaddset(&set_, SIGTERM);
  sigaddset(&set_, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  thread_ = std::thread([this] { Run(); });
}

StopSignals::~StopSignals() {
  stop_ = true;
  thread_.join();
}

void StopSignals::Run() {
  while (!stop_) {
    if (sigtimedwait(&set_, nullptr, &kLook) < 0) continue;
    MutexLock lock(&mutex_);
    if (signalled_) std::_Exit(kInterrupted);
    signalled_ = true;
  }
}

bool StopSignals::WaitFor(absl::Duration longest) {
  MutexLock lock(&mutex_);
  return mutex_.Await([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return signalled_; }, longest);
}

}  // namespace baton
