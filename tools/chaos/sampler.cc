#include "tools/chaos/sampler.h"

#include "tools/chaos/snapshot.h"

namespace baton::chaos {
namespace {

constexpr size_t kMostKept = 20000;

}  // namespace

Sampler::Sampler(Driver& driver, MonoTime start, absl::Duration every)
    : driver_(driver), start_(start), every_(every), thread_([this] { Work(); }) {}

Sampler::~Sampler() {
  (void)Stop();
}

void Sampler::Work() {
  for (;;) {
    const MonoTime next = clock_.Now() + every_;
    Snapshot snapshot = TakeSnapshot(driver_, absl::ToDoubleSeconds(clock_.Now() - start_));
    if (seen_.size() < kMostKept) seen_.push_back({snapshot.at_s, std::move(snapshot.pages), {}, {}, ""});
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_), std::max(next - clock_.Now(), absl::ZeroDuration()));
    if (stopping_) return;
  }
}

std::vector<Snapshot> Sampler::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  return std::move(seen_);
}

}  // namespace baton::chaos
