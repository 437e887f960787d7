#include "services/router/policy/worker_table.h"

#include <algorithm>
#include <utility>

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
  ShowAll();
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
      state.calls = WorkerHealth(config_.health);
      state.failing = false;
      endpoint_of_[state.worker] = endpoint;
    }
    state.epoch = report.epoch;
    state.facts = report.facts;
  } else if (state.worker == 0 || !state.connected || report.epoch != state.epoch ||
             report.number != state.last_number + 1) {
    state.connected = false;
    Show(state);
    return absl::FailedPreconditionError(
        absl::StrCat("report ", report.number, " of ", endpoint, " does not follow ", state.last_number));
  }
  bool same_ranks = report.number != 0;
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
      same_ranks = false;
    } else {
      *known = rank;
    }
  }
  if (same_ranks) {
    Show(state);
  } else {
    ShowAll();
  }
  for (auto own = own_.lower_bound({state.worker, 0}); own != own_.end() && own->first.worker == state.worker;
       ++own) {
    own->second.fresh_streams = 0;
    own->second.fresh_tokens = 0;
    own->second.fresh_context = 0;
    ShowOwn(own->first);
  }
  return absl::OkStatus();
}

void WorkerTable::Disconnected(const std::string& endpoint) {
  const auto it = endpoints_.find(endpoint);
  if (it == endpoints_.end()) return;
  it->second.connected = false;
  Show(it->second);
}

bool WorkerTable::Tick(MonoTime now) {
  bool changed = false;
  for (auto& [endpoint, state] : endpoints_) {
    Judge(state, now);
    if (!state.connected || state.silent || now - state.last_report <= config_.silence_timeout) continue;
    state.silent = true;
    Show(state);
    changed = true;
  }
  return changed;
}

WorkerState* WorkerTable::Known(uint64_t worker) {
  auto it = endpoint_of_.find(worker);
  return it == endpoint_of_.end() ? nullptr : &endpoints_.at(it->second);
}

void WorkerTable::Judge(WorkerState& state, MonoTime now) {
  if (std::exchange(state.failing, state.calls.Suspect(now)) != state.failing) Show(state);
}

void WorkerTable::CallFailed(uint64_t worker, MonoTime now) {
  WorkerState* const state = Known(worker);
  if (state == nullptr) return;
  state->calls.CallFailed(now);
  Judge(*state, now);
}

void WorkerTable::CallWorked(uint64_t worker) {
  WorkerState* const state = Known(worker);
  if (state == nullptr) return;
  state->calls.CallWorked();
  Judge(*state, absl::InfinitePast());
}

void WorkerTable::Placed(uint64_t worker, MonoTime now) {
  WorkerState* const state = Known(worker);
  if (state == nullptr) return;
  state->calls.Placed(now);
  Judge(*state, now);
}

std::vector<uint64_t> WorkerTable::SilentWithStreams() const {
  std::vector<uint64_t> silent;
  for (const auto& entry : endpoints_) {
    const WorkerState& state = entry.second;
    if (!state.silent || !state.connected) continue;
    const bool has_streams = std::any_of(views_.begin(), views_.end(), [&](const RankView& rank) {
      return rank.ref.worker == state.worker && rank.own_streams > 0;
    });
    const bool has_heir = std::any_of(views_.begin(), views_.end(), [&](const RankView& rank) {
      return rank.role == WorkerRole::kDecode && rank.healthy && !rank.draining && !rank.suspect &&
             rank.fingerprint == state.facts.fingerprint;
    });
    if (has_streams && has_heir) silent.push_back(state.worker);
  }
  return silent;
}

void WorkerTable::ShowAll() {
  ++membership_;
  views_.clear();
  view_of_.clear();
  for (const auto& [endpoint, state] : endpoints_) {
    if (state.worker == 0) continue;
    for (const RankReport& rank : state.ranks) {
      const RankRef ref{state.worker, rank.rank};
      view_of_[ref] = views_.size();
      views_.push_back({.ref = ref,
                        .fingerprint = state.facts.fingerprint,
                        .accepts_inexact = state.facts.accepts_inexact,
                        .model_id = state.facts.model_id,
                        .page_tokens = state.facts.page_tokens,
                        .max_context = state.facts.max_context});
      ShowOwn(ref);
    }
  }
  for (const auto& [endpoint, state] : endpoints_) Show(state);
}

void WorkerTable::Show(const WorkerState& state) {
  if (state.worker == 0) return;
  for (const RankReport& rank : state.ranks) {
    RankView& view = views_[view_of_.at({state.worker, rank.rank})];
    view.role = state.role;
    view.healthy = state.Usable();
    view.draining = state.draining;
    view.suspect = state.silent || state.failing;
    view.total_pages = rank.pages.total();
    view.running = rank.running;
    view.waiting = rank.waiting;
    view.backlog_tokens = rank.backlog_tokens;
    view.context_tokens = rank.context_tokens;
    view.free_pages = rank.pages.free + rank.pages.cached;
  }
}

void WorkerTable::ShowOwn(RankRef ref) {
  const auto at = view_of_.find(ref);
  if (at == view_of_.end()) return;
  const auto found = own_.find(ref);
  const OwnLoad own = found == own_.end() ? OwnLoad() : found->second;
  RankView& view = views_[at->second];
  view.own_streams = own.streams;
  view.own_tokens = own.tokens;
  view.fresh_streams = own.fresh_streams;
  view.fresh_tokens = own.fresh_tokens;
  view.fresh_context = own.fresh_context;
  view.placed = own.placed;
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
  ShowOwn(ref);
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
  ShowOwn(ref);
}

}  // namespace baton::router
