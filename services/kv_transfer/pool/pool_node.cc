#include "services/kv_transfer/pool/pool_node.h"

#include <spdlog/spdlog.h>

#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "common/status_macros.h"
#include "services/kv_transfer/pool/helper.h"
#include "services/kv_transfer/transport/transport.h"

namespace baton::pool {
namespace {

constexpr uint64_t kSegmentBytes = 64 << 20;
constexpr uint64_t kFewestSegments = 8;
constexpr absl::Duration kRound = absl::Milliseconds(200);
constexpr absl::Duration kCheckEvery = absl::Seconds(5);

// Pages that other processes of this host can map.
class PageMemory final : public KvMemory {
 public:
  static absl::StatusOr<std::unique_ptr<PageMemory>> Make(const KvLayout& layout, int64_t pages) {
    BATON_ASSIGN_OR_RETURN(std::unique_ptr<SharedMemory> memory,
                           SharedMemory::Create(layout.PageBytes() * pages));
    return std::make_unique<PageMemory>(layout, pages, std::move(memory));
  }
  PageMemory(const KvLayout& layout, int64_t pages, std::unique_ptr<SharedMemory> memory)
      : layout_(layout), pages_(pages), memory_(std::move(memory)) {}

  const KvLayout& layout() const override { return layout_; }
  uint32_t ranks() const override { return 1; }
  int64_t pages(uint32_t) const override { return pages_; }
  absl::Span<std::byte> Page(uint32_t, PageId page) override {
    return memory_->span().subspan(layout_.PageBytes() * page, layout_.PageBytes());
  }
  const SharedMemory& shared() const { return *memory_; }

 private:
  const KvLayout layout_;
  const int64_t pages_;
  const std::unique_ptr<SharedMemory> memory_;
};

struct DiskPlan {
  int64_t segment_blocks = 0, segments = 0;
};

// One segment is in the making while the oldest is still being dropped.
DiskPlan PlanDisk(uint64_t disk_bytes, uint64_t record_bytes) {
  const uint64_t wanted = std::min(kSegmentBytes, disk_bytes / kFewestSegments);
  DiskPlan plan;
  plan.segment_blocks = static_cast<int64_t>(std::max<uint64_t>(1, wanted / record_bytes));
  plan.segments = static_cast<int64_t>(disk_bytes / (plan.segment_blocks * record_bytes)) - 1;
  return plan;
}

}  // namespace

absl::Status CheckLayout(const KvLayout& layout) {
  const bool sane = layout.layers > 0 && layout.layers <= 4096 && layout.kv_heads > 0 &&
                    layout.kv_heads <= 4096 && layout.head_dim > 0 && layout.head_dim <= 65536 &&
                    layout.atoms_per_page > 0 && layout.atoms_per_page <= 1024 &&
                    layout.dtype <= KvDtype::kBF16;
  if (sane && layout.PageBytes() <= size_t{1} << 30) return absl::OkStatus();
  return absl::InvalidArgumentError("no KV layout that a pool could hold");
}

struct PoolNode::Impl final : public HandoffEventSink {
  using Input = std::variant<std::pair<FetchCall, std::function<void(absl::StatusOr<FetchAnswer>)>>,
                             std::pair<StoreCall, std::function<void(absl::StatusOr<StoreAnswer>)>>,
                             HandoffEvent, HelperReport>;

  Impl(const PoolNodeOptions& o, std::string f, const KvLayout& l, const PoolCoreOptions& core_options,
       std::unique_ptr<PageMemory> m, const Clock* c)
      : options(o),
        fingerprint(std::move(f)),
        layout(l),
        disk_capacity(core_options.segments * core_options.segment_blocks),
        clock(c),
        memory(std::move(m)),
        core(core_options),
        last_round(c->Now()) {}

  // The loop first, so that nothing is submitted to what is gone; then what writes into the memory.
  ~Impl() override {
    {
      MutexLock lock(&mutex);
      stopping = true;
    }
    if (thread.joinable()) thread.join();
    node.reset();
    helper.reset();
    std::vector<Input> left;
    {
      MutexLock lock(&mutex);
      left = std::exchange(inbox, {});
    }
    for (Input& input : left) Refuse(input);
  }

  void OnHandoffEvent(HandoffEvent event) override { Post(std::move(event)); }

  void Post(Input input) {
    {
      MutexLock lock(&mutex);
      if (!stopping) {
        inbox.push_back(std::move(input));
        return;
      }
    }
    Refuse(input);
  }

  static void Refuse(Input& input) {
    const absl::Status gone = absl::UnavailableError("the pool is shutting down");
    if (auto* fetch = std::get_if<0>(&input)) fetch->second(gone);
    if (auto* store = std::get_if<1>(&input)) store->second(gone);
  }

  void Run() {
    for (bool last = false; !last;) {
      std::vector<Input> inputs;
      {
        MutexLock lock(&mutex);
        const auto ready = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return stopping || !inbox.empty(); };
        mutex.Await(ready, kRound);
        last = stopping;
        inputs = std::exchange(inbox, {});
      }
      const MonoTime now = clock->Now();
      for (Input& input : inputs) std::visit([&](auto& in) { Feed(in, now); }, input);
      OfferBacklog();
      Publish(now);
    }
  }

  // Actions before the answer: an Open that follows it finds its record.
  void Feed(std::pair<FetchCall, std::function<void(absl::StatusOr<FetchAnswer>)>>& in, MonoTime now) {
    const auto answer = core.OnFetch(std::move(in.first), now);
    CarryOut();
    in.second(answer);
  }
  void Feed(std::pair<StoreCall, std::function<void(absl::StatusOr<StoreAnswer>)>>& in, MonoTime now) {
    const auto answer = core.OnStore(std::move(in.first), now);
    CarryOut();
    in.second(answer);
  }
  void Feed(HandoffEvent& event, MonoTime) {
    core.OnHandoffEvent(event);
    CarryOut();
  }
  void Feed(HelperReport& report, MonoTime) {
    std::visit([this](auto& r) { On(r); }, report);
    CarryOut();
  }
  void On(Recovered& r) {
    spdlog::info("disk tier: {} blocks found in {} segments, {} records refused", r.log.blocks.size(),
                 r.log.segments.size(), r.log.refused);
    core.OnRecovered(r.log);
  }
  void On(Summed& r) { core.OnSummed(r.id, std::move(r.sums)); }
  void On(Written& r) { core.OnWritten(r.key, r.place, r.status); }
  void On(ReadDone& r) {
    if (absl::IsDataLoss(r.status))
      spdlog::warn("disk tier: a block was refused: {}", std::string(r.status.message()));
    core.OnRead(r.key, r.place, r.status, std::move(r.sums));
  }
  void On(DiskFailed& r) { core.OnDiskFailed(r.status); }

  void CarryOut() {
    for (PoolAction& action : core.TakeActions()) {
      std::visit(
          [this](auto& a) {
            if constexpr (std::is_same_v<std::decay_t<decltype(a)>, MoveKv>) {
              backlog.push_back(std::move(a.command));
            } else {
              helper->Do(std::move(a));
            }
          },
          action);
    }
    OfferBacklog();
    if (!core.disk_state().ok() && !told_disk) {
      told_disk = true;
      spdlog::error("disk tier is off until the next start: {}", std::string(core.disk_state().message()));
    }
  }
  void OfferBacklog() {
    while (!backlog.empty() && node->Submit(backlog.front()).ok()) backlog.pop_front();
  }

  void Publish(MonoTime now) {
    absl::Status found = absl::OkStatus();
    if (now >= next_check) {
      next_check = now + kCheckEvery;
      found = core.CheckIntegrity();
      if (!found.ok()) spdlog::critical("pool: {}", std::string(found.message()));
    }
    PoolStatus status{.counters = core.counters(),
                      .total_pages = core.pages().size(),
                      .disk_blocks = core.blocks_on_disk(),
                      .disk_capacity_blocks = disk_capacity,
                      .disk = core.disk_state(),
                      .moves = core.moves()};
    for (size_t i = 0; i < kPageStates; ++i) status.pages[i] = core.pages().count(static_cast<PageState>(i));
    MutexLock lock(&mutex);
    published = std::move(status);
    integrity.Update(found);
    last_round = now;
  }

  const PoolNodeOptions options;
  const std::string fingerprint;
  const KvLayout layout;
  const int64_t disk_capacity;
  const Clock* const clock;
  const std::unique_ptr<PageMemory> memory;
  KvPeer peer;

  // Of the loop's thread.
  PoolCore core;
  std::deque<HandoffCommand> backlog;
  bool told_disk = false;
  MonoTime next_check;

  mutable Mutex mutex;
  std::vector<Input> inbox ABSL_GUARDED_BY(mutex);
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  PoolStatus published ABSL_GUARDED_BY(mutex);
  absl::Status integrity ABSL_GUARDED_BY(mutex);
  MonoTime last_round ABSL_GUARDED_BY(mutex);

  std::unique_ptr<HandoffNode> node;
  std::unique_ptr<Helper> helper;
  std::thread thread;
};

absl::StatusOr<std::unique_ptr<PoolNode>> PoolNode::Start(const PoolNodeOptions& options,
                                                          const std::string& fingerprint,
                                                          const KvLayout& layout, const WireMaker& make_wire,
                                                          std::unique_ptr<DiskFolder>* folder,
                                                          const Clock* clock) {
  BATON_RETURN_IF_ERROR(CheckLayout(layout));
  PoolCoreOptions core{.layout = layout};
  core.pages = static_cast<int64_t>(options.memory_bytes / layout.PageBytes());
  if (core.pages == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the pool's memory holds no page of ", layout.PageBytes() >> 10, " KiB"));
  }
  BATON_ASSIGN_OR_RETURN(std::unique_ptr<PageMemory> memory, PageMemory::Make(layout, core.pages));
  BATON_ASSIGN_OR_RETURN(std::unique_ptr<Transport> wire, make_wire(memory->shared()));
  std::optional<DiskLog> log;
  if (*folder != nullptr) {
    const DiskSpace space = MakeDiskSpace({}, fingerprint, layout);
    const DiskPlan plan = PlanDisk(options.disk_bytes, space.RecordBytes());
    auto opened = DiskLog::Open(std::move(*folder), space, RandomId128);
    if (!opened.ok() || plan.segments < 2) {
      spdlog::error("disk tier is off: {}",
                    opened.ok() ? "it would hold too few blocks" : std::string(opened.status().message()));
    } else {
      core.segments = plan.segments;
      core.segment_blocks = plan.segment_blocks;
      log = *std::move(opened);
    }
  }
  auto impl = std::make_unique<Impl>(options, fingerprint, layout, core, std::move(memory), clock);
  impl->peer.epoch = RandomId128();
  HandoffOptions handoff = options.handoff;
  handoff.fingerprint = fingerprint;
  BATON_ASSIGN_OR_RETURN(impl->node, HandoffNode::Start(handoff, impl->peer.epoch, impl->memory.get(),
                                                        std::move(wire), clock, impl.get()));
  impl->peer.endpoint = impl->node->endpoint();
  Impl* const running = impl.get();
  impl->helper =
      std::make_unique<Helper>(impl->memory.get(), std::move(log), core.segments,
                               [running](HelperReport report) { running->Post(std::move(report)); });
  impl->Publish(clock->Now());
  impl->thread = std::thread([running] { running->Run(); });
  spdlog::info("pool: {} pages of {} KiB in memory, {} blocks on disk at most, fingerprint {}", core.pages,
               layout.PageBytes() >> 10, impl->disk_capacity, fingerprint);
  return std::unique_ptr<PoolNode>(new PoolNode(std::move(impl)));
}

PoolNode::PoolNode(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PoolNode::~PoolNode() = default;

void PoolNode::Fetch(FetchCall call, std::function<void(absl::StatusOr<FetchAnswer>)> done) {
  impl_->Post(std::make_pair(std::move(call), std::move(done)));
}
void PoolNode::Store(StoreCall call, std::function<void(absl::StatusOr<StoreAnswer>)> done) {
  impl_->Post(std::make_pair(std::move(call), std::move(done)));
}

KvPeer PoolNode::peer() const {
  KvPeer peer = impl_->peer;
  peer.curve_public_key = impl_->node->public_key();
  return peer;
}
const std::string& PoolNode::fingerprint() const {
  return impl_->fingerprint;
}
const KvLayout& PoolNode::layout() const {
  return impl_->layout;
}

PoolStatus PoolNode::Status() const {
  PoolStatus status;
  {
    MutexLock lock(&impl_->mutex);
    status = impl_->published;
  }
  status.handoff = impl_->node->stats();
  return status;
}

absl::Status PoolNode::Health() const {
  MonoTime last_round;
  {
    MutexLock lock(&impl_->mutex);
    BATON_RETURN_IF_ERROR(impl_->integrity);
    last_round = impl_->last_round;
  }
  const MonoTime oldest = impl_->clock->Now() - impl_->options.wedge_timeout;
  if (last_round < oldest || impl_->node->LastRound() < oldest)
    return absl::InternalError("a thread is wedged");
  if (!impl_->node->Healthy())
    return absl::InternalError("a read into quarantined pages could not be fenced");
  return absl::OkStatus();
}

}  // namespace baton::pool
