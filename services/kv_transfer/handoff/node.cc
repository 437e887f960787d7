#include "services/kv_transfer/handoff/node.h"

#include <spdlog/spdlog.h>

#include <atomic>
#include <deque>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/status_macros.h"
#include "services/kv_transfer/handoff/driver.h"

namespace baton {
namespace {

constexpr size_t kMaxCommands = 16384;
constexpr absl::Duration kLongestWait = absl::Seconds(1);

}  // namespace

struct HandoffNode::Impl {
  // The thread is started last and joined before anything it uses goes.
  Impl(HandoffOptions o, std::unique_ptr<Transport> w, const Clock* c)
      : options(std::move(o)), wire(std::move(w)), clock(c), last_round(c->Now()) {}
  ~Impl() {
    if (!thread.joinable()) return;
    stop = true;
    wire->Wake();
    thread.join();
  }

  void Run() {
    while (!stop) {
      DoCommands();
      driver->Step(kLongestWait);
      Publish();
    }
    DoCommands();
    driver->Shutdown(options.fence_timeout);
    Publish();
  }

  void DoCommands() {
    std::deque<HandoffCommand> taken;
    {
      absl::MutexLock lock(&mutex);
      taken.swap(commands);
    }
    for (const HandoffCommand& command : taken) driver->Do(command);
    if (!taken.empty()) Publish();
  }

  void Publish() {
    absl::MutexLock lock(&mutex);
    published = driver->stats();
    healthy = driver->healthy();
    last_round = clock->Now();
  }

  const HandoffOptions options;
  std::shared_ptr<const void> staging;  // outlives the wire
  const std::unique_ptr<Transport> wire;
  const Clock* const clock;
  std::unique_ptr<HandoffDriver> driver;  // the thread's
  std::atomic<bool> stop{false};
  mutable absl::Mutex mutex;
  std::deque<HandoffCommand> commands ABSL_GUARDED_BY(mutex);
  Stats published ABSL_GUARDED_BY(mutex);
  bool healthy ABSL_GUARDED_BY(mutex) = true;
  MonoTime last_round ABSL_GUARDED_BY(mutex);
  std::thread thread;
};

absl::StatusOr<std::unique_ptr<HandoffNode>> HandoffNode::Start(const HandoffOptions& options, Epoch epoch,
                                                                KvMemory* memory,
                                                                std::unique_ptr<Transport> wire,
                                                                const Clock* clock, HandoffEventSink* sink) {
  auto impl = std::make_unique<Impl>(options, std::move(wire), clock);
  BATON_ASSIGN_OR_RETURN(impl->driver,
                         HandoffDriver::Create(options, epoch, memory, impl->wire.get(), clock, sink));
  impl->staging = impl->driver->staging();
  spdlog::info("handoff: {} wire at {}, CURVE {}", std::string(impl->wire->name()), impl->wire->endpoint(),
               impl->wire->public_key().empty() ? "off" : "on");
  Impl* const running = impl.get();
  impl->thread = std::thread([running] { running->Run(); });
  return std::unique_ptr<HandoffNode>(new HandoffNode(std::move(impl)));
}

HandoffNode::HandoffNode(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HandoffNode::~HandoffNode() = default;

absl::Status HandoffNode::Submit(HandoffCommand command) {
  bool first = false;
  {
    absl::MutexLock lock(&impl_->mutex);
    if (impl_->commands.size() >= kMaxCommands)
      return absl::ResourceExhaustedError("too many handoff commands queued");
    first = impl_->commands.empty();
    impl_->commands.push_back(std::move(command));
  }
  if (first) impl_->wire->Wake();
  return absl::OkStatus();
}

const std::string& HandoffNode::endpoint() const {
  return impl_->wire->endpoint();
}

const std::string& HandoffNode::public_key() const {
  return impl_->wire->public_key();
}

HandoffNode::Stats HandoffNode::stats() const {
  absl::MutexLock lock(&impl_->mutex);
  return impl_->published;
}

std::vector<WireLink> HandoffNode::links() const {
  return impl_->wire->links();
}

bool HandoffNode::Healthy() const {
  absl::MutexLock lock(&impl_->mutex);
  return impl_->healthy;
}

MonoTime HandoffNode::LastRound() const {
  absl::MutexLock lock(&impl_->mutex);
  return impl_->last_round;
}

}  // namespace baton
