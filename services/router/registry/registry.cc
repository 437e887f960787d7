#include "services/router/registry/registry.h"

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace baton::router {
namespace {
constexpr absl::Duration kTickInterval = absl::Milliseconds(100);
}  // namespace

struct Registry::Impl : std::enable_shared_from_this<Registry::Impl> {
  Impl(const RegistryConfig& config_in, WorkerCalls& calls_in, const Clock& clock_in)
      : config(config_in), calls(calls_in), clock(clock_in), table(config_in.table) {}

  struct Watched {
    uint64_t serial = 0;  // of the current call; events of earlier ones are ignored
    bool open = false;
    MonoTime reconnect_at = absl::InfinitePast();
    absl::Duration backoff;
    std::shared_ptr<Call> call;
  };

  // Calls are cancelled and dropped outside the lock: gRPC may call back from within.
  void OnWatch(const std::string& endpoint, uint64_t serial, WatchMessage message) {
    std::shared_ptr<Call> old;
    absl::MutexLock lock(&mutex);
    auto it = watched.find(endpoint);
    if (it == watched.end() || it->second.serial != serial) return;
    const MonoTime now = clock.Now();
    if (auto* report = std::get_if<WorkerReport>(&message)) {
      const absl::Status status = table.Report(endpoint, *report, now);
      if (status.ok()) {
        it->second.backoff = config.reconnect_min;
        return;
      }
    }
    table.Disconnected(endpoint);
    Watched& one = it->second;
    old = std::exchange(one.call, nullptr);
    ++one.serial;
    one.open = false;
    one.reconnect_at = now + one.backoff;
    one.backoff = std::min(one.backoff * 2, config.reconnect_max);
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
      absl::MutexLock lock(&mutex);
      const auto woken = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex) { return stopping || wake; };
      mutex.AwaitWithTimeout(absl::Condition(&woken), kTickInterval);
      wake = false;
      if (stopping) return;
    }
  }

  PlacedRank Describe(RankRef ref, uint64_t tokens, Registry* registry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    const WorkerState* state = table.Find(ref.worker);
    table.Charge(ref, 1, tokens);
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

absl::StatusOr<PlacedStream> Registry::Place(const PlacementRequest& request) {
  absl::MutexLock lock(&impl_->mutex);
  absl::StatusOr<Placement> placement =
      PlaceLeastLoaded(impl_->config.placement, impl_->table.Ranks(), request);
  if (!placement.ok()) return placement.status();
  PlacedStream placed;
  placed.placement = *placement;
  placed.fingerprint = impl_->table.Find(placement->decode.worker)->facts.fingerprint;
  placed.decode = impl_->Describe(placement->decode, placement->prefill ? 0 : request.prompt_tokens, this);
  if (placement->prefill) placed.prefill = impl_->Describe(*placement->prefill, request.prompt_tokens, this);
  return placed;
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
  return impl_->Describe(target, tokens, this);
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
  return impl_->table.Ranks();
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
