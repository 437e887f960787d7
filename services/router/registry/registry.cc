#include "services/router/registry/registry.h"

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/router/policy/policies/factory.h"

namespace baton::router {
namespace {
constexpr absl::Duration kTickInterval = absl::Milliseconds(100);
constexpr double kAnswerWeight = 1.0 / 32;  // of the newest answer in the mean
}  // namespace

struct Registry::Impl : std::enable_shared_from_this<Registry::Impl> {
  Impl(const RegistryConfig& config_in, WorkerCalls& calls_in, const Clock& clock_in)
      : config(config_in),
        calls(calls_in),
        clock(clock_in),
        table(config_in.table),
        policy(*MakePolicy(kDefaultPolicy, config_in.placement)),
        random(config_in.seed) {}

  struct Watched {
    uint64_t serial = 0;  // of the current call; events of earlier ones are ignored
    bool open = false;
    MonoTime reconnect_at = absl::InfinitePast();
    absl::Duration backoff;
    std::shared_ptr<Call> call;
  };

  // Calls are cancelled and dropped outside the lock: gRPC may call back from within.
  void OnWatch(const std::string& endpoint, uint64_t serial, WatchMessage message) {
    const auto* report = std::get_if<WorkerReport>(&message);
    if (const uint64_t worker = TakeReport(endpoint, serial, report); worker != 0)
      return prefixes.Report(worker, serial, *report);
    std::shared_ptr<Call> old;
    absl::MutexLock lock(&mutex);
    auto it = watched.find(endpoint);
    if (it == watched.end() || it->second.serial != serial) return;
    const MonoTime now = clock.Now();
    table.Disconnected(endpoint);
    Watched& one = it->second;
    old = std::exchange(one.call, nullptr);
    ++one.serial;
    one.open = false;
    one.reconnect_at = now + one.backoff;
    one.backoff = std::min(one.backoff * 2, config.reconnect_max);
  }

  // The worker, or 0 if nothing was taken.
  uint64_t TakeReport(const std::string& endpoint, uint64_t serial, const WorkerReport* report) {
    absl::MutexLock lock(&mutex);
    auto it = watched.find(endpoint);
    if (report == nullptr || it == watched.end() || it->second.serial != serial) return 0;
    if (!table.Report(endpoint, *report, clock.Now()).ok()) return 0;
    it->second.backoff = config.reconnect_min;
    return table.endpoints().at(endpoint).worker;
  }

  void TickPrefixes() {
    std::vector<uint64_t> workers;
    uint64_t newest = 0;
    {
      absl::MutexLock lock(&mutex);
      for (const auto& [endpoint, state] : table.endpoints()) workers.push_back(state.worker);
      newest = table.newest_worker();
    }
    std::sort(workers.begin(), workers.end());
    prefixes.Retain(workers, newest);
    prefixes.Tick(clock.Now());
  }

  // Opens the calls that are due. The calls are made without the lock: gRPC may call back at once.
  void OpenDue() {
    std::vector<std::pair<std::string, uint64_t>> due;
    {
      absl::MutexLock lock(&mutex);
      if (stopping) return;
      const MonoTime now = clock.Now();
      table.Tick(now);
      for (auto& [endpoint, one] : watched) {
        if (one.open || one.reconnect_at > now) continue;
        one.open = true;
        due.emplace_back(endpoint, ++one.serial);
      }
    }
    for (auto& [endpoint, serial] : due) {
      std::shared_ptr<Call> call = calls.Watch(
          endpoint, [weak = weak_from_this(), endpoint = endpoint, serial = serial](WatchMessage message) {
            if (auto self = weak.lock()) self->OnWatch(endpoint, serial, std::move(message));
          });
      absl::MutexLock lock(&mutex);
      auto it = watched.find(endpoint);
      if (it != watched.end() && it->second.serial == serial) it->second.call = std::move(call);
    }
  }

  void Run() {
    for (;;) {
      OpenDue();
      TickPrefixes();
      absl::MutexLock lock(&mutex);
      const auto woken = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex) { return stopping || wake; };
      mutex.AwaitWithTimeout(absl::Condition(&woken), kTickInterval);
      wake = false;
      if (stopping) return;
    }
  }

  // What ranks hold of a prompt, in the order of the table's ranks as of *membership.
  HeldPrefixes Look(const PromptBlocks& prompt, uint64_t* membership) {
    std::vector<RankRef> ranks;
    {
      absl::MutexLock lock(&mutex);
      *membership = table.membership();
      ranks.reserve(table.Ranks().size());
      for (const RankView& rank : table.Ranks()) ranks.push_back(rank.ref);
    }
    return prefixes.Match(prompt, ranks);
  }

  absl::StatusOr<Placement> Decide(PlacementRequest request, const HeldPrefixes& held)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    request.ttft_slo = std::min(request.ttft_slo, config.ttft_slo);
    request.itl_slo = std::min(request.itl_slo, config.itl_slo);
    request.expected_new_tokens = std::min(request.max_new_tokens, static_cast<uint32_t>(answer_tokens));
    absl::StatusOr<Placement> placement = policy->Place({.stream = ++streams,
                                                         .ranks = table.Ranks(),
                                                         .held_tokens = held.tokens,
                                                         .held_blocks = held.blocks,
                                                         .request = request,
                                                         .now = clock.Now()},
                                                        random);
    if (!placement.ok()) return placement;
    policy->Learn(StreamPlaced{streams, *placement, clock.Now()});
    ++counts.placed;
    counts.prompt_tokens += request.prompt_tokens;
    counts.held_tokens += placement->reasons.held_tokens;
    counts.best_held_tokens += placement->reasons.best_held_tokens;
    return placement;
  }

  PlacedRank Describe(RankRef ref, uint64_t tokens, uint64_t context_tokens, Registry* registry)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    const WorkerState* state = table.Find(ref.worker);
    table.Charge(ref, 1, tokens, context_tokens);
    table.Placed(ref.worker, clock.Now());
    return {.ref = ref,
            .endpoint = table.EndpointOf(ref.worker),
            .worker_name = state->facts.name,
            .kv = state->facts.kv,
            .charge = RankCharge(registry, ref, tokens)};
  }

  const RegistryConfig config;
  WorkerCalls& calls;
  const Clock& clock;
  mutable absl::Mutex mutex;
  WorkerTable table ABSL_GUARDED_BY(mutex);
  std::unique_ptr<Policy> policy ABSL_GUARDED_BY(mutex);
  PolicyRandom random ABSL_GUARDED_BY(mutex);
  uint64_t streams ABSL_GUARDED_BY(mutex) = 0;
  double answer_tokens ABSL_GUARDED_BY(mutex) = 0;  // of lately finished streams, in the mean; 0: none yet
  PlacementCounts counts ABSL_GUARDED_BY(mutex);
  PrefixBoard prefixes;
  std::map<std::string, Watched> watched ABSL_GUARDED_BY(mutex);
  std::string last_other ABSL_GUARDED_BY(mutex);
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  bool wake ABSL_GUARDED_BY(mutex) = false;
  std::thread thread;
};

Registry::Registry(const RegistryConfig& config, WorkerCalls& calls, const Clock& clock)
    : impl_(std::make_shared<Impl>(config, calls, clock)) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

Registry::~Registry() {
  {
    absl::MutexLock lock(&impl_->mutex);
    impl_->stopping = true;
  }
  impl_->thread.join();
  std::map<std::string, Impl::Watched> dropped;
  absl::MutexLock lock(&impl_->mutex);
  dropped.swap(impl_->watched);
}

void Registry::SetEndpoints(const std::vector<std::string>& endpoints) {
  const std::set<std::string> wanted(endpoints.begin(), endpoints.end());
  std::vector<std::shared_ptr<Call>> gone;
  {
    absl::MutexLock lock(&impl_->mutex);
    for (auto it = impl_->watched.begin(); it != impl_->watched.end();) {
      if (wanted.count(it->first) != 0) {
        ++it;
        continue;
      }
      impl_->table.RemoveEndpoint(it->first);
      gone.push_back(std::move(it->second.call));
      it = impl_->watched.erase(it);
    }
    for (const std::string& endpoint : wanted) {
      if (!impl_->watched.try_emplace(endpoint, Impl::Watched{.backoff = impl_->config.reconnect_min}).second)
        continue;
      impl_->table.AddEndpoint(endpoint);
      impl_->wake = true;
    }
  }
  impl_->calls.Retain(wanted);
}

absl::StatusOr<PlacedStream> Registry::Place(const PlacementRequest& request, const Id128& salt,
                                             absl::Span<const TokenId> tokens) {
  const PromptBlocks prompt = impl_->prefixes.Hash(salt, tokens);
  uint64_t membership = 0;
  HeldPrefixes held = impl_->Look(prompt, &membership);
  PlacedStream placed;
  {
    absl::MutexLock lock(&impl_->mutex);
    if (membership != impl_->table.membership()) held = {};  // other ranks by now
    const absl::StatusOr<Placement> placement = impl_->Decide(request, held);
    if (!placement.ok()) return placement.status();
    placed.placement = *placement;
    placed.fingerprint = impl_->table.Find(placement->decode.worker)->facts.fingerprint;
    const uint64_t to_compute =
        request.prompt_tokens - std::min(request.prompt_tokens, placement->reasons.held_tokens);
    placed.decode =
        impl_->Describe(placement->decode, placement->prefill ? 0 : to_compute, request.prompt_tokens, this);
    if (placement->prefill)
      placed.prefill = impl_->Describe(*placement->prefill, to_compute, request.prompt_tokens, this);
    placed.feedback = StreamFeedback(this, impl_->streams, placement->decode);
  }
  std::vector<RankRef> holders;
  if (!placed.placement.inexact) holders.push_back(placed.decode.ref);  // KV of other numbers is not cached
  if (placed.prefill) holders.push_back(placed.prefill->ref);
  impl_->prefixes.Placed(holders, prompt, impl_->clock.Now());
  return placed;
}

absl::Status Registry::SetPolicy(const std::string& text) {
  absl::StatusOr<std::unique_ptr<Policy>> policy = MakePolicy(text, impl_->config.placement);
  if (!policy.ok()) return policy.status();
  absl::MutexLock lock(&impl_->mutex);
  impl_->policy.swap(*policy);
  return absl::OkStatus();
}

void Registry::Learn(const PolicyFeedback& feedback) {
  absl::MutexLock lock(&impl_->mutex);
  impl_->policy->Learn(feedback);
  if (const auto* finished = std::get_if<StreamFinished>(&feedback)) {
    double& mean = impl_->answer_tokens;
    mean += (finished->tokens - mean) * (mean == 0 ? 1 : kAnswerWeight);
  }
}

PlacementStatus Registry::placement() const {
  PlacementStatus status{.prefixes = impl_->prefixes.counts()};
  absl::MutexLock lock(&impl_->mutex);
  status.policy = impl_->policy->Describe();
  status.counts = impl_->counts;
  return status;
}

MonoTime Registry::Now() const {
  return impl_->clock.Now();
}

absl::StatusOr<PlacedRank> Registry::PlaceAt(RankRef target, const std::string& fingerprint,
                                             uint64_t tokens) {
  absl::MutexLock lock(&impl_->mutex);
  const WorkerState* state = impl_->table.Find(target.worker);
  const auto no = [](absl::string_view why) { return absl::FailedPreconditionError(why); };
  if (state == nullptr || !state->Usable()) return no("the target worker is not available");
  const bool has_rank = std::any_of(state->ranks.begin(), state->ranks.end(),
                                    [&](const RankReport& rank) { return rank.rank == target.rank; });
  if (!has_rank) return no(absl::StrCat(state->facts.name, " has no rank ", target.rank));
  if (state->role != WorkerRole::kDecode) return no(absl::StrCat(state->facts.name, " does not decode"));
  if (state->draining) return no(absl::StrCat(state->facts.name, " is draining"));
  if (state->facts.fingerprint != fingerprint) {
    return no(absl::StrCat(state->facts.name, " computes other numbers (fingerprint ",
                           state->facts.fingerprint, ", not ", fingerprint,
                           "): the stream would not be the same there"));
  }
  return impl_->Describe(target, tokens, 0, this);
}

std::optional<Bystander> Registry::Other(uint64_t worker) {
  absl::MutexLock lock(&impl_->mutex);
  const auto& endpoints = impl_->table.endpoints();
  auto it = endpoints.upper_bound(impl_->last_other);
  for (size_t looked = 0; looked < endpoints.size(); ++looked, ++it) {
    if (it == endpoints.end()) it = endpoints.begin();
    if (!it->second.Usable() || it->second.draining || it->second.worker == worker) continue;
    impl_->last_other = it->first;
    return Bystander{it->first, it->second.epoch};
  }
  return std::nullopt;
}

void Registry::CallFailed(uint64_t worker) {
  absl::MutexLock lock(&impl_->mutex);
  impl_->table.CallFailed(worker, impl_->clock.Now());
}

void Registry::CallWorked(uint64_t worker) {
  absl::MutexLock lock(&impl_->mutex);
  impl_->table.CallWorked(worker);
}

std::vector<uint64_t> Registry::SilentWithStreams() const {
  absl::MutexLock lock(&impl_->mutex);
  return impl_->table.SilentWithStreams();
}

bool Registry::CanDecode() const {
  absl::MutexLock lock(&impl_->mutex);
  return impl_->table.CanDecode();
}

uint64_t Registry::MaxContext() const {
  absl::MutexLock lock(&impl_->mutex);
  uint64_t least = 0;
  for (const auto& [endpoint, state] : impl_->table.endpoints()) {
    if (!state.Usable() || state.role != WorkerRole::kDecode || state.facts.max_context == 0) continue;
    least = least == 0 ? state.facts.max_context : std::min(least, state.facts.max_context);
  }
  return least;
}

std::vector<std::pair<std::string, WorkerState>> Registry::Workers() const {
  absl::MutexLock lock(&impl_->mutex);
  return {impl_->table.endpoints().begin(), impl_->table.endpoints().end()};
}

std::vector<RankView> Registry::Ranks() const {
  absl::MutexLock lock(&impl_->mutex);
  return {impl_->table.Ranks().begin(), impl_->table.Ranks().end()};
}

RankCharge& RankCharge::operator=(RankCharge&& other) noexcept {
  if (this == &other) return *this;
  Release();
  registry_ = std::exchange(other.registry_, nullptr);
  ref_ = other.ref_;
  tokens_ = std::exchange(other.tokens_, 0);
  return *this;
}

void RankCharge::TokensComputed() {
  if (registry_ == nullptr || tokens_ == 0) return;
  absl::MutexLock lock(&registry_->impl_->mutex);
  registry_->impl_->table.Discharge(ref_, 0, std::exchange(tokens_, 0));
}

void RankCharge::Release() {
  if (registry_ == nullptr) return;
  absl::MutexLock lock(&registry_->impl_->mutex);
  registry_->impl_->table.Discharge(ref_, 1, tokens_);
  registry_ = nullptr;
}

}  // namespace baton::router
