#include "services/router/policy/worker_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace baton::router {

void WorkerTable::AddEndpoint(const std::string& endpoint) {
  endpoints_.try_emplace(endpoint);
}

void WorkerTable::RemoveEndpoint(const std::string& endpoint) {
  auto it = endpoints_.find(endpoint);
  if (it == endpoints_.end()) return;
  EndLife(it->second.worker);
  endpoints_.erase(it);
}

// What streams still hold of the old life goes as they discharge it.
void WorkerTable::EndLife(uint64_t worker) {
  endpoint_of_.erase(worker);
  for (auto own = own_.lower_bound({worker, 0}); own != own_.end() && own->first.worker == worker;) {
    own = own->second.streams == 0 && own->second.tokens == 0 ? own_.erase(own) : std::next(own);
  }
}

absl::Status WorkerTable::Report(const std::string& endpoint, const WorkerReport& report, MonoTime now) {
  auto it = endpoints_.find(endpoint);
  if (it == endpoints_.end())
    return absl::NotFoundError(absl::StrCat("endpoint ", endpoint, " is not watched"));
  WorkerState& state = it->second;
  if (report.number == 0) {
    if (state.worker == 0 || state.epoch != report.epoch) {
      EndLife(state.worker);
      state.worker = next_worker_++;
      endpoint_of_[state.worker] = endpoint;
    }
    state.epoch = report.epoch;
    state.facts = report.facts;
  } else if (state.worker == 0 || !state.connected || report.epoch != state.epoch ||
             report.number != state.last_number + 1) {
    state.connected = false;
    return absl::FailedPreconditionError(
        absl::StrCat("report ", report.number, " of ", endpoint, " does not follow ", state.last_number));
  }
  state.connected = true;
  state.silent = false;
  state.last_number = report.number;
  state.last_report = now;
  state.role = report.role;
  state.draining = report.draining;
  state.healthy = report.healthy;
  if (report.number == 0) state.ranks.clear();
  for (const RankReport& rank : report.ranks) {
    const auto same = [&rank](const RankReport& known) { return known.rank == rank.rank; };
    const auto known = std::find_if(state.ranks.begin(), state.ranks.end(), same);
    if (known == state.ranks.end()) {
      state.ranks.push_back(rank);
    } else {
      *known = rank;
    }
  }
  for (auto own = own_.lower_bound({state.worker, 0}); own != own_.end() && own->first.worker == state.worker;
       ++own) {
    own->second.fresh_streams = 0;
    own->second.fresh_tokens = 0;
    own->second.fresh_context = 0;
  }
  return absl::OkStatus();
}

void WorkerTable::Disconnected(const std::string& endpoint) {
  if (auto it = endpoints_.find(endpoint); it != endpoints_.end()) it->second.connected = false;
}

bool WorkerTable::Tick(MonoTime now) {
  bool changed = false;
  for (auto& [endpoint, state] : endpoints_) {
    if (!state.connected || state.silent || now - state.last_report <= config_.silence_timeout) continue;
    state.silent = true;
    changed = true;
  }
  return changed;
}

std::vector<RankView> WorkerTable::Ranks() const {
  std::vector<RankView> views;
  for (const auto& [endpoint, state] : endpoints_) {
    if (state.worker == 0) continue;
    for (const RankReport& rank : state.ranks) {
      RankView view{.ref = {state.worker, rank.rank},
                    .role = state.role,
                    .healthy = state.Usable(),
                    .draining = state.draining,
                    .suspect = state.silent,
                    .fingerprint = state.facts.fingerprint,
                    .accepts_inexact = state.facts.accepts_inexact,
                    .model_id = state.facts.model_id,
                    .page_tokens = state.facts.page_tokens,
                    .total_pages = rank.pages.total(),
                    .max_context = state.facts.max_context,
                    .running = rank.running,
                    .waiting = rank.waiting,
                    .backlog_tokens = rank.backlog_tokens,
                    .context_tokens = rank.context_tokens,
                    .free_pages = rank.pages.free + rank.pages.cached};
      if (auto own = own_.find(view.ref); own != own_.end()) {
        view.own_streams = own->second.streams;
        view.own_tokens = own->second.tokens;
        view.fresh_streams = own->second.fresh_streams;
        view.fresh_tokens = own->second.fresh_tokens;
        view.fresh_context = own->second.fresh_context;
        view.placed = own->second.placed;
      }
      views.push_back(std::move(view));
    }
  }
  return views;
}

const WorkerState* WorkerTable::Find(uint64_t worker) const {
  auto it = endpoint_of_.find(worker);
  return it == endpoint_of_.end() ? nullptr : &endpoints_.at(it->second);
}

std::string WorkerTable::EndpointOf(uint64_t worker) const {
  auto it = endpoint_of_.find(worker);
  return it == endpoint_of_.end() ? std::string() : it->second;
}

bool WorkerTable::CanDecode() const {
  return std::any_of(endpoints_.begin(), endpoints_.end(), [](const auto& entry) {
    const WorkerState& state = entry.second;
    return state.Usable() && !state.draining && state.role == WorkerRole::kDecode && !state.ranks.empty();
  });
}

void WorkerTable::Charge(RankRef ref, uint64_t streams, uint64_t tokens, uint64_t context_tokens) {
  OwnLoad& own = own_[ref];
  own.fresh_context += context_tokens;
  own.streams += streams;
  own.tokens += tokens;
  own.fresh_streams += streams;
  own.fresh_tokens += tokens;
  own.placed += streams;
}

void WorkerTable::Discharge(RankRef ref, uint64_t streams, uint64_t tokens) {
  auto it = own_.find(ref);
  if (it == own_.end()) return;
  OwnLoad& own = it->second;
  own.streams -= std::min(own.streams, streams);
  own.tokens -= std::min(own.tokens, tokens);
  own.fresh_streams = std::min(own.fresh_streams, own.streams);
  own.fresh_tokens = std::min(own.fresh_tokens, own.tokens);
  if (own.fresh_streams == 0) own.fresh_context = 0;
  if (own.streams == 0 && own.tokens == 0 && Find(ref.worker) == nullptr) own_.erase(it);
}

}  // namespace baton::router
