#include "services/worker/worker.h"

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "services/kv_transfer/transport/transport.h"
#include "services/worker/dispatcher.h"
#include "services/worker/kv_checksums.h"

namespace baton {
namespace {

// The pools of all ranks as the handoff sees them.
class RunnersMemory final : public KvMemory {
 public:
  explicit RunnersMemory(const std::vector<std::unique_ptr<ModelRunner>>* runners) : runners_(runners) {}
  const KvLayout& layout() const override { return runners_->front()->kv_layout(); }
  uint32_t ranks() const override { return static_cast<uint32_t>(runners_->size()); }
  int64_t pages(uint32_t rank) const override { return (*runners_)[rank]->page_count(); }
  absl::Span<std::byte> Page(uint32_t rank, PageId page) override {
    return {(*runners_)[rank]->PageData(page), layout().PageBytes()};
  }

 private:
  const std::vector<std::unique_ptr<ModelRunner>>* runners_;
};

class EngineInlet final : public EngineEventSink {
 public:
  EngineInlet(uint32_t rank, KvChecksums* checksums, BlockJournal* blocks, Dispatcher* dispatcher)
      : rank_(rank), checksums_(checksums), blocks_(blocks), dispatcher_(dispatcher) {}
  void OnBlocks(absl::Span<const BlockChange> changes) override { blocks_->Add(changes); }
  void OnEngineEvent(EngineEvent event) override {
    std::vector<uint64_t> sums;
    if (const auto* computed = std::get_if<ComputedEvent>(&event)) sums = checksums_->Computed(*computed);
    if (const auto* shared = std::get_if<SharedEvent>(&event)) sums = checksums_->Shared(*shared);
    if (const auto* failed = std::get_if<FailedEvent>(&event)) checksums_->End(failed->id);
    dispatcher_->Post(Dispatcher::FromEngine{rank_, std::move(event), std::move(sums)});
  }

 private:
  const uint32_t rank_;
  KvChecksums* const checksums_;
  BlockJournal* const blocks_;
  Dispatcher* const dispatcher_;
};

class HandoffInlet final : public HandoffEventSink {
 public:
  explicit HandoffInlet(Dispatcher* dispatcher) : dispatcher_(dispatcher) {}
  void OnHandoffEvent(HandoffEvent event) override {
    dispatcher_->Post(Dispatcher::FromHandoff{std::move(event)});
  }

 private:
  Dispatcher* const dispatcher_;
};

struct Rank {
  Rank(uint32_t index, const EngineOptions& options, ModelRunner* runner, const Clock* clock,
       Dispatcher* dispatcher)
      : checksums(runner),
        inlet(index, &checksums, &blocks, dispatcher),
        engine(options, runner, clock, &inlet) {}
  absl::Status Submit(EngineCommand command) {
    const SeqId id = std::visit([](const auto& c) { return c.id; }, command);
    if (const auto* prefill = std::get_if<PrefillCommand>(&command))
      checksums.Begin(id, prefill->spec.tokens, prefill->spec.cache_salt);
    if (const auto* share = std::get_if<ShareCommand>(&command))
      checksums.Begin(id, share->tokens, share->cache_salt);
    if (std::holds_alternative<ReleaseCommand>(command)) checksums.End(id);
    if (const auto* cancel = std::get_if<CancelCommand>(&command); cancel != nullptr && cancel->fenced) {
      checksums.End(id);
    }
    absl::Status status = engine.Submit(std::move(command));
    if (!status.ok()) checksums.End(id);
    return status;
  }

  KvChecksums checksums;
  BlockJournal blocks;
  EngineInlet inlet;
  Engine engine;
};

WorkerCoreOptions CoreOptions(const WorkerOptions& options,
                              const std::vector<std::unique_ptr<ModelRunner>>& runners) {
  WorkerCoreOptions core = options.core;
  core.ranks = static_cast<uint32_t>(runners.size());
  core.max_context = runners.front()->max_context();
  core.vocab_size = runners.front()->vocab_size();
  return core;
}

}  // namespace

struct Worker::Impl {
  Impl(const WorkerOptions& options, std::vector<std::unique_ptr<ModelRunner>> given, const Clock* clock)
      : options(options),
        clock(clock),
        runners(std::move(given)),
        memory(&runners),
        dispatcher(CoreOptions(options, runners), options.tick, clock),
        handoff_inlet(&dispatcher) {}

  // The dispatcher first, so that nothing is submitted to what is already gone.
  ~Impl() {
    dispatcher.Stop();
    node.reset();
    ranks.clear();
  }

  absl::Status Start(std::unique_ptr<Transport> wire) {
    const ModelRunner& first = *runners.front();
    facts = {.name = options.name,
             .model = options.model,
             .fingerprint = first.fingerprint(),
             .kv = {.curve_public_key = wire->public_key(), .epoch = RandomId128()},
             .layout = first.kv_layout(),
             .max_context = first.max_context(),
             .ranks = static_cast<uint32_t>(runners.size()),
             .accepts_inexact = options.handoff.inexact,
             .model_id = first.model_id()};
    HandoffOptions handoff = options.handoff;
    handoff.fingerprint = facts.fingerprint;
    handoff.model = facts.model_id;
    BATON_ASSIGN_OR_RETURN(
        node, HandoffNode::Start(handoff, facts.kv.epoch, &memory, std::move(wire), clock, &handoff_inlet));
    facts.kv.endpoint = node->endpoint();
    for (uint32_t i = 0; i < runners.size(); ++i) {
      ranks.push_back(std::make_unique<Rank>(i, options.engine, runners[i].get(), clock, &dispatcher));
    }
    dispatcher.Start(
        {.engine = [this](uint32_t rank,
                          EngineCommand command) { return ranks[rank]->Submit(std::move(command)); },
         .handoff = [this](const HandoffCommand& command) { return node->Submit(command); }});
    return absl::OkStatus();
  }

  const WorkerOptions options;
  const Clock* const clock;
  const std::vector<std::unique_ptr<ModelRunner>> runners;
  RunnersMemory memory;
  Dispatcher dispatcher;
  HandoffInlet handoff_inlet;
  WorkerFacts facts;
  std::unique_ptr<HandoffNode> node;
  std::vector<std::unique_ptr<Rank>> ranks;
  std::atomic<CallId> next_call{1};
  Detour detour;
};

Worker::Worker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Worker::~Worker() = default;

absl::StatusOr<std::unique_ptr<Worker>> Worker::Start(const WorkerOptions& options,
                                                      std::vector<std::unique_ptr<ModelRunner>> runners,
                                                      std::unique_ptr<Transport> wire, const Clock* clock) {
  if (runners.empty()) return absl::InvalidArgumentError("a worker has one rank or more");
  for (const auto& runner : runners) {
    if (runner->kv_layout() != runners.front()->kv_layout() ||
        runner->fingerprint() != runners.front()->fingerprint()) {
      return absl::InvalidArgumentError("the ranks of a worker must have one KV layout and one fingerprint");
    }
  }
  auto impl = std::make_unique<Impl>(options, std::move(runners), clock);
  BATON_RETURN_IF_ERROR(impl->Start(std::move(wire)));
  return std::unique_ptr<Worker>(new Worker(std::move(impl)));
}

CallId Worker::NewCall() {
  return impl_->next_call++;
}

void Worker::SetDetour(Detour detour) {
  impl_->detour = std::move(detour);
}

void Worker::Open(CallId id, WorkerCall call, std::shared_ptr<CallSink> sink) {
  auto* const prefill = std::get_if<PrefillCall>(&call);
  if (prefill != nullptr && impl_->detour.prefill != nullptr)
    return impl_->detour.prefill(id, std::move(*prefill), std::move(sink));
  OpenNow(id, std::move(call), std::move(sink));
}

void Worker::OpenNow(CallId id, WorkerCall call, std::shared_ptr<CallSink> sink) {
  impl_->dispatcher.Post(Dispatcher::Arrived{id, std::move(call), std::move(sink)});
}

void Worker::Break(CallId call) {
  if (impl_->detour.broken != nullptr) impl_->detour.broken(call);
  impl_->dispatcher.Post(Dispatcher::Broken{call});
}
void Worker::Sent(CallId call, int64_t events) {
  impl_->dispatcher.Post(Dispatcher::Taken{call, events});
}
void Worker::SetRole(WorkerRole role) {
  impl_->dispatcher.Post(Dispatcher::RoleWish{role});
}
void Worker::Drain(absl::Duration grace, std::function<void(const DrainState&)> done) {
  impl_->dispatcher.Post(Dispatcher::DrainWish{grace, std::move(done)});
}

const std::string& Worker::kv_public_key() const {
  return impl_->node->public_key();
}

const WorkerFacts& Worker::facts() const {
  return impl_->facts;
}
const BlockJournal& Worker::blocks(uint32_t rank) const {
  return impl_->ranks[rank]->blocks;
}
MonoTime Worker::Now() const {
  return impl_->clock->Now();
}

WorkerStatus Worker::Status() const {
  const Dispatcher::View view = impl_->dispatcher.view();
  WorkerStatus status{.role = view.role,
                      .drain = view.drain,
                      .health = Health(),
                      .counters = view.counters,
                      .handoff = impl_->node->stats(),
                      .kv_links = impl_->node->links(),
                      .open_calls = view.open_calls,
                      .jobs = view.jobs,
                      .records = view.records,
                      .record_bytes = view.record_bytes};
  for (const auto& rank : impl_->ranks) status.ranks.push_back(rank->engine.Load());
  return status;
}

absl::Status Worker::Health() const {
  const Dispatcher::View view = impl_->dispatcher.view();
  BATON_RETURN_IF_ERROR(view.integrity);
  const MonoTime oldest = Now() - impl_->options.wedge_timeout;
  if (view.last_round < oldest) return absl::InternalError("the dispatcher is wedged");
  for (size_t i = 0; i < impl_->ranks.size(); ++i) {
    const Engine& engine = impl_->ranks[i]->engine;
    BATON_RETURN_IF_ERROR(engine.Health());
    if (engine.LastProgress() < oldest)
      return absl::InternalError(absl::StrCat("the engine of rank ", i, " is wedged"));
  }
  if (impl_->node->LastRound() < oldest) return absl::InternalError("the handoff is wedged");
  if (!impl_->node->Healthy())
    return absl::InternalError("a read into quarantined pages could not be fenced");
  return absl::OkStatus();
}

}  // namespace baton
