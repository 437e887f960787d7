#include "services/router/serve/drain_mover.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace baton::router {
namespace {

constexpr absl::Duration kLookEvery = absl::Milliseconds(30);

}  // namespace

struct DrainMover::Impl : std::enable_shared_from_this<DrainMover::Impl> {
  Impl(const DrainMovesConfig& config, Registry* registry, StreamTable* streams, const Clock* clock)
      : registry(registry), streams(streams), clock(clock), moves(config) {}

  void Run() {
    for (;;) {
      {
        absl::MutexLock lock(&mutex);
        const auto stop = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex) { return stopping; };
        if (mutex.AwaitWithTimeout(absl::Condition(&stop), kLookEvery)) return;
      }
      Look();
    }
  }

  void Look() {
    for (const uint64_t worker : registry->SilentWithStreams()) streams->WorkerSilent(worker);
    const std::vector<RankView> ranks = registry->Ranks();
    const bool draining = std::any_of(ranks.begin(), ranks.end(), [](const RankView& rank) {
      return rank.draining && rank.role == WorkerRole::kDecode && rank.own_streams > 0;
    });
    if (!draining) return;
    std::vector<StreamAt> open;
    for (const auto& [id, view] : streams->List()) open.push_back({id, view.at, view.movable.ok()});
    std::vector<DrainMove> due;
    {
      absl::MutexLock lock(&mutex);
      due = moves.Plan(open, ranks, clock->Now());
    }
    for (const DrainMove& move : due) {
      streams->Move(move.id, move.target,
                    [weak = weak_from_this(), id = move.id](const absl::Status& status) {
                      if (auto self = weak.lock()) self->Ended(id, status);
                    });
    }
  }

  void Ended(const StreamId& id, const absl::Status& status) {
    if (!status.ok())
      spdlog::info("stream {} stays at its draining rank: {}", id.ToHex(), std::string(status.message()));
    absl::MutexLock lock(&mutex);
    moves.Ended(id, status, clock->Now());
  }

  Registry* const registry;
  StreamTable* const streams;
  const Clock* const clock;
  absl::Mutex mutex;
  DrainMoves moves ABSL_GUARDED_BY(mutex);
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  std::thread thread;
};

DrainMover::DrainMover(const DrainMovesConfig& config, Registry* registry, StreamTable* streams,
                       const Clock* clock)
    : impl_(std::make_shared<Impl>(config, registry, streams, clock)) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

DrainMover::~DrainMover() {
  {
    absl::MutexLock lock(&impl_->mutex);
    impl_->stopping = true;
  }
  impl_->thread.join();
}

}  // namespace baton::router
