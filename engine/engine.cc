#include "engine/engine.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "common/bounded_queue.h"
#include "common/mutex.h"

namespace baton {
namespace {

// How often an idle engine comes round its loop, and how often at most it checks its books.
constexpr absl::Duration kHeartbeat = absl::Milliseconds(100);
constexpr absl::Duration kCheckInterval = absl::Milliseconds(100);

// Of the commands that give something back an id needs no more than this: Adopt, Recompute or Publish,
// Fenced, Release, Cancel and a repeated one.
constexpr size_t kReturnsPerSequence = 5;

bool GivesBack(const EngineCommand& command) {
  return !std::holds_alternative<ServeCommand>(command) && !std::holds_alternative<PrefillCommand>(command) &&
         !std::holds_alternative<ReserveCommand>(command) && !std::holds_alternative<FetchCommand>(command) &&
         !std::holds_alternative<ShareCommand>(command);
}

size_t Admissions(const EngineOptions& options) {
  return static_cast<size_t>(std::max<int64_t>(options.max_sequences, 1));
}

// Every id known or in the queue may still be given back.
size_t ReservedRoom(const EngineOptions& options) {
  return 2 * Admissions(options) * kReturnsPerSequence;
}

}  // namespace

struct Engine::Impl {
  Impl(const EngineOptions& options, ModelRunner* runner, const Clock* clock, EngineEventSink* sink)
      : clock(clock),
        reserved(ReservedRoom(options)),
        core(options, runner, sink),
        queue(Admissions(options) + reserved),
        load(core.Load()),
        last_progress(clock->Now()),
        thread([this] { Run(); }) {}

  ~Impl() {
    queue.Close();
    thread.join();
  }

  void Run() {
    bool idle = false;
    while (!queue.closed()) {
      const absl::Duration until_deadline = core.NextDeadline() - clock->Now();
      std::deque<EngineCommand> commands = queue.PopAll(
          idle ? std::clamp(until_deadline, absl::ZeroDuration(), kHeartbeat) : absl::ZeroDuration());
      for (EngineCommand& command : commands) core.Handle(std::move(command), clock->Now());
      const bool worked = core.Step(clock->Now());
      changed |= worked || !commands.empty();
      idle = !worked && !core.HasWork();
      Publish(idle);
    }
  }

  void Publish(bool idle) {
    const MonoTime now = clock->Now();
    absl::Status integrity;
    if (idle && changed && now - last_check >= kCheckInterval) {
      integrity = core.CheckIntegrity();
      last_check = now;
      changed = false;
    }
    EngineLoad current = core.Load();
    MutexLock lock(&mutex);
    load = current;
    last_progress = now;
    if (health.ok()) health = std::move(integrity);
  }

  const Clock* const clock;
  const size_t reserved;

  // The engine thread's own.
  EngineCore core;
  bool changed = false;  // since the books were last checked
  MonoTime last_check = absl::InfinitePast();

  BoundedQueue<EngineCommand> queue;
  mutable Mutex mutex;
  EngineLoad load ABSL_GUARDED_BY(mutex);
  absl::Status health ABSL_GUARDED_BY(mutex);
  MonoTime last_progress ABSL_GUARDED_BY(mutex);
  std::thread thread;  // last: everything above exists while it runs
};

Engine::Engine(const EngineOptions& options, ModelRunner* runner, const Clock* clock, EngineEventSink* sink)
    : impl_(std::make_unique<Impl>(options, runner, clock, sink)) {}

Engine::~Engine() = default;

absl::Status Engine::Submit(EngineCommand command) {
  const size_t keep_free = GivesBack(command) ? 0 : impl_->reserved;
  using Push = BoundedQueue<EngineCommand>::Push;
  switch (impl_->queue.TryPush(std::move(command), keep_free)) {
    case Push::kDone:
      return absl::OkStatus();
    case Push::kClosed:
      return absl::UnavailableError("the engine has stopped");
    case Push::kFull:
      break;
  }
  return absl::ResourceExhaustedError("the engine's command queue is full");
}

EngineLoad Engine::Load() const {
  MutexLock lock(&impl_->mutex);
  return impl_->load;
}

absl::Status Engine::Health() const {
  MutexLock lock(&impl_->mutex);
  return impl_->health;
}

MonoTime Engine::LastProgress() const {
  MutexLock lock(&impl_->mutex);
  return impl_->last_progress;
}

}  // namespace baton
