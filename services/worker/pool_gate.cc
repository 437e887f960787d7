#include "services/worker/pool_gate.h"

#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "common/block_hash.h"
#include "common/mutex.h"
#include "services/worker/pool_breaker.h"

namespace baton {
namespace {

constexpr absl::Duration kStoreTime = absl::Seconds(30);

// For calls of which nobody waits.
class NoSink final : public CallSink {
 public:
  void OnEvent(CallEvent) override {}
  void OnEnd(absl::Status) override {}
};

KvPeer PeerOf(const Worker& worker) {
  KvPeer peer = worker.facts().kv;
  peer.curve_public_key = worker.kv_public_key();
  return peer;
}

PoolRun FirstBlocks(const PoolRun& run, size_t n) {
  return {{run.blocks.begin(), run.blocks.begin() + n}, {run.digests.begin(), run.digests.begin() + n}};
}

}  // namespace

struct PoolGate::Impl : std::enable_shared_from_this<Impl> {
  // One prompt on its way through the gate.
  struct Prompt {
    CallId id;
    PrefillCall call;
    std::shared_ptr<CallSink> sink;
    PoolRun run;  // of all whole blocks
    size_t fetchable = 0;
    std::vector<TokenId> tokens;  // for moves
    Id128 salt;
    PoolPlanner::Plan plan;
    Id128 handoff;
    MonoTime begun;  // of its present step
    int64_t cached_tokens = 0;
  };
  using Shared = std::shared_ptr<Prompt>;

  class FetchSink final : public CallSink {
   public:
    FetchSink(std::shared_ptr<Impl> gate, Shared prompt)
        : gate_(std::move(gate)), prompt_(std::move(prompt)) {}
    void OnEvent(CallEvent event) override {
      if (const auto* fetched = std::get_if<PrefixFetched>(&event)) fetched_ = *fetched;
    }
    void OnEnd(absl::Status) override { gate_->Fetched(prompt_, fetched_); }  // nothing: refused here

   private:
    const std::shared_ptr<Impl> gate_;
    const Shared prompt_;
    std::optional<PrefixFetched> fetched_;
  };

  class PrefillSink final : public CallSink {
   public:
    PrefillSink(std::shared_ptr<Impl> gate, Shared prompt)
        : gate_(std::move(gate)), prompt_(std::move(prompt)) {}
    void OnEvent(CallEvent event) override {
      if (const auto* first = std::get_if<PrefillFirstToken>(&event))
        gate_->Computed(prompt_, first->cached_tokens);
      prompt_->sink->OnEvent(std::move(event));
    }
    void OnEnd(absl::Status status) override {
      const bool done = status.ok();
      prompt_->sink->OnEnd(std::move(status));
      if (done) gate_->Offer(prompt_);
    }

   private:
    const std::shared_ptr<Impl> gate_;
    const Shared prompt_;
  };

  Impl(const std::string& endpoint, int64_t cache_blocks, Worker* w, const Clock* c)
      : worker(w),
        clock(c),
        block_tokens(w->facts().layout.PageTokens()),
        client(std::make_unique<PoolClient>(PoolClientOptions{.endpoint = endpoint,
                                                              .fingerprint = w->facts().fingerprint,
                                                              .layout = w->facts().layout,
                                                              .self = [w] { return PeerOf(*w); }},
                                            c)),
        planner({.block_tokens = block_tokens,
                 .block_bytes = static_cast<int64_t>(w->facts().layout.PageBytes()),
                 .cache_blocks = cache_blocks,
                 .ranks = w->facts().ranks}) {}

  void Prefill(CallId id, PrefillCall call, std::shared_ptr<CallSink> sink) {
    auto prompt =
        std::make_shared<Prompt>(Prompt{.id = id, .call = std::move(call), .sink = std::move(sink)});
    {
      MutexLock lock(&mutex);
      waiting.insert(id);
    }
    const SequenceSpec& spec = prompt->call.spec;
    // What no worker takes need not be hashed.
    if (static_cast<int64_t>(spec.tokens.size()) > worker->facts().max_context) return Start(prompt);
    prompt->tokens = spec.tokens;
    prompt->salt = spec.cache_salt;
    prompt->run = {BlockHashes(RootBlockHash(worker->facts().fingerprint, spec.cache_salt), spec.tokens,
                               static_cast<int>(block_tokens)),
                   PrefixDigests(spec.tokens, static_cast<int>(block_tokens))};
    prompt->fetchable = spec.tokens.empty() ? 0 : (spec.tokens.size() - 1) / block_tokens;
    prompt->begun = clock->Now();
    bool ask = false;
    {
      MutexLock lock(&mutex);
      prompt->plan =
          planner.Decide(prompt->call.rank, absl::MakeConstSpan(prompt->run.blocks).first(prompt->fetchable));
      ask = prompt->plan.ask && moves.Allows(prompt->begun) && !stopped;
      if (prompt->plan.ask && !ask) planner.Unanswered(prompt->plan);
    }
    if (!ask) return Start(prompt);
    prompt->handoff = RandomId128();
    PoolAsk question{.handoff = prompt->handoff,
                     .rank = prompt->call.rank,
                     .run = FirstBlocks(prompt->run, prompt->fetchable),
                     .skip = prompt->plan.skip,
                     .least = prompt->plan.least,
                     .timeout = kStoreTime};
    client->Fetch(std::move(question), [self = shared_from_this(), prompt](absl::StatusOr<PoolFound> found) {
      self->Answered(prompt, found);
    });
  }

  void Answered(const Shared& prompt, const absl::StatusOr<PoolFound>& found) {
    absl::Duration patience;
    {
      MutexLock lock(&mutex);
      if (found.ok()) {
        planner.Answered(prompt->plan, found->found, found->blocks);
        patience = planner.Patience(prompt->plan);
      } else {
        planner.Unanswered(prompt->plan);
      }
    }
    if (!found.ok() || found->blocks == 0) return Start(prompt);
    prompt->begun = clock->Now();
    FetchCall fetch{
        .move = {.id = prompt->handoff, .cache_salt = prompt->salt, .deadline = prompt->begun + patience},
        .rank = prompt->call.rank,
        .source = found->pool};
    fetch.move.tokens.assign(prompt->tokens.begin(), prompt->tokens.begin() + found->blocks * block_tokens);
    worker->OpenNow(worker->NewCall(), std::move(fetch),
                    std::make_shared<FetchSink>(shared_from_this(), prompt));
  }

  void Fetched(const Shared& prompt, const std::optional<PrefixFetched>& fetched) {
    {
      MutexLock lock(&mutex);
      const MonoTime now = clock->Now();
      if (!fetched.has_value()) {
        planner.Unanswered(prompt->plan);
      } else if (fetched->outcome == KvOutcome::kHeld) {
        planner.Fetched(prompt->plan, fetched->fetched_tokens, now - prompt->begun);
        moves.Succeeded();
      } else if (fetched->outcome != KvOutcome::kLocal) {
        planner.Fetched(prompt->plan, 0, now - prompt->begun);
        moves.Failed(now);
      }
    }
    Start(prompt);
  }

  void Start(const Shared& prompt) {
    bool broken = false, over = false;
    {
      MutexLock lock(&mutex);
      broken = gone.contains(prompt->id);
      over = stopped;
      if (broken || over) Leave(prompt->id);
    }
    if (broken)
      return prompt->sink->OnEnd(absl::CancelledError("the call was cancelled or its connection lost"));
    if (over) return prompt->sink->OnEnd(absl::UnavailableError("the worker is shutting down"));
    prompt->begun = clock->Now();
    const CallId id = prompt->id;
    worker->OpenNow(id, std::move(prompt->call), std::make_shared<PrefillSink>(shared_from_this(), prompt));
    {
      MutexLock lock(&mutex);
      broken = Leave(id);
    }
    if (broken) worker->Break(id);  // it was told of the break before it knew the call
  }

  // Whether the call was broken while it was in here.
  bool Leave(CallId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    waiting.erase(id);
    return gone.erase(id) > 0;
  }

  void Broken(CallId id) {
    MutexLock lock(&mutex);
    if (waiting.contains(id)) gone.insert(id);
  }

  void Computed(const Shared& prompt, int64_t cached_tokens) {
    prompt->cached_tokens = cached_tokens;
    const auto computed = static_cast<int64_t>(prompt->tokens.size()) - cached_tokens;
    MutexLock lock(&mutex);
    planner.Computed(prompt->plan, prompt->run.blocks, computed, clock->Now() - prompt->begun);
  }

  // Unless nothing is new.
  void Offer(const Shared& prompt) {
    const size_t blocks = prompt->run.blocks.size();
    const bool is_new = static_cast<int64_t>(blocks) * block_tokens > prompt->cached_tokens;
    {
      MutexLock lock(&mutex);
      if (stopped || !is_new || blocks <= prompt->plan.found || !moves.Allows(clock->Now())) return;
      ++offered;
    }
    PoolOffer offer{
        .handoff = RandomId128(), .rank = prompt->plan.rank, .run = prompt->run, .timeout = kStoreTime};
    const Id128 handoff = offer.handoff;
    client->Store(std::move(offer),
                  [self = shared_from_this(), prompt, handoff](const absl::StatusOr<PoolWants>& wants) {
                    if (wants.ok() && wants->blocks > 0) self->Share(prompt, handoff, *wants);
                  });
  }

  void Share(const Shared& prompt, const Id128& handoff, const PoolWants& wants) {
    {
      MutexLock lock(&mutex);
      if (stopped) return;
      wanted_blocks += wants.blocks;
    }
    ShareCall share{
        .move = {.id = handoff, .cache_salt = prompt->salt, .deadline = clock->Now() + kStoreTime},
        .rank = prompt->plan.rank,
        .reader_epoch = wants.pool.epoch};
    const auto tokens = static_cast<int64_t>(wants.first + wants.blocks) * block_tokens;
    share.move.tokens.assign(prompt->tokens.begin(), prompt->tokens.begin() + tokens);
    worker->OpenNow(worker->NewCall(), std::move(share), std::make_shared<NoSink>());
  }

  Worker* const worker;
  const Clock* const clock;
  const int64_t block_tokens;
  std::unique_ptr<PoolClient> client;
  mutable Mutex mutex;
  PoolPlanner planner ABSL_GUARDED_BY(mutex);
  PoolBreaker moves ABSL_GUARDED_BY(mutex);
  absl::flat_hash_set<CallId> waiting ABSL_GUARDED_BY(mutex);  // in the gate
  absl::flat_hash_set<CallId> gone ABSL_GUARDED_BY(mutex);     // of these, broken meanwhile
  uint64_t offered ABSL_GUARDED_BY(mutex) = 0, wanted_blocks ABSL_GUARDED_BY(mutex) = 0;
  bool stopped ABSL_GUARDED_BY(mutex) = false;
};

PoolGate::PoolGate(const std::string& endpoint, int64_t cache_blocks, Worker* worker, const Clock* clock)
    : impl_(std::make_shared<Impl>(endpoint, cache_blocks, worker, clock)) {
  worker->SetDetour({.prefill =
                         [impl = impl_.get()](CallId id, PrefillCall call, std::shared_ptr<CallSink> sink) {
                           impl->Prefill(id, std::move(call), std::move(sink));
                         },
                     .broken = [impl = impl_.get()](CallId id) { impl->Broken(id); }});
}

PoolGate::~PoolGate() {
  {
    MutexLock lock(&impl_->mutex);
    impl_->stopped = true;
  }
  impl_->worker->SetDetour({});
  impl_->client.reset();
}

PoolGate::Stats PoolGate::stats() const {
  const PoolClient::Stats client = impl_->client->stats();
  MutexLock lock(&impl_->mutex);
  const TransferCostModel& model = impl_->planner.model();
  return {.client = client,
          .planner = impl_->planner.counters(),
          .bytes_per_second = model.bytes_per_second(),
          .tokens_per_second = model.tokens_per_second(),
          .mu = model.mu(),
          .least_blocks = impl_->planner.LeastBlocks(),
          .offered = impl_->offered,
          .wanted_blocks = impl_->wanted_blocks};
}

}  // namespace baton
