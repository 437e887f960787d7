#include "services/router/serve/admission_gate.h"

#include <algorithm>

namespace baton::router {
namespace {
constexpr absl::Duration kLookEvery = absl::Milliseconds(250);

template <typename Callbacks>
void Call(const Callbacks& callbacks) {
  for (const auto& [settled, admitted] : callbacks) settled(admitted);
}
}  // namespace

void AdmissionGate::Settle(const std::vector<AdmissionTicket>& tickets, bool admitted, Callbacks& callbacks) {
  for (const AdmissionTicket ticket : tickets) {
    const auto it = taken_.find(ticket);
    if (it == taken_.end()) continue;
    callbacks.emplace_back(std::exchange(it->second.settled, nullptr), admitted);
    if (admitted) continue;
    rates_.GiveBack(it->second.key, 1, static_cast<double>(it->second.tokens));
    taken_.erase(it);
  }
}

void AdmissionGate::Settle(const AdmissionChanges& changes, Callbacks& callbacks) {
  Settle(changes.admitted, true, callbacks);
  Settle(changes.expired, false, callbacks);
}

AdmissionGate::Entered AdmissionGate::Arrive(const Caller& caller, const Request& request, Settled settled) {
  LookAtCapacity();
  Callbacks callbacks;
  Entered entered;
  {
    absl::MutexLock lock(&mutex_);
    entered = Decide(caller, request, std::move(settled), callbacks);
  }
  Call(callbacks);
  return entered;
}

AdmissionGate::Entered AdmissionGate::Decide(const Caller& caller, const Request& request, Settled settled,
                                             Callbacks& callbacks) {
  const MonoTime now = clock_.Now();
  const uint64_t tokens =
      request.prompt_tokens + request.choices * admission_.ExpectedAnswer(request.most_tokens);
  const absl::Duration wait = rates_.Take(caller.flow.id, caller.limits, tokens, now);
  if (wait > absl::ZeroDuration())
    return {.refusal = Refusal::kRequestRate, .retry_after = absl::Ceil(wait, absl::Seconds(1))};
  const AdmissionTicket ticket = next_++;
  const AdmissionDecision decision = admission_.Arrive(
      ticket,
      {.tokens = tokens, .deadline = request.deadline, .priority = caller.priority, .flow = caller.flow},
      now);
  Settle(decision.displaced, false, callbacks);
  if (decision.answer == AdmissionAnswer::kRejected) {
    rates_.GiveBack(caller.flow.id, 1, static_cast<double>(tokens));
    return {.refusal = Refusal::kFull, .retry_after = decision.retry_after};
  }
  Taken taken{.key = caller.flow.id, .tokens = tokens};
  if (decision.answer == AdmissionAnswer::kQueued) taken.settled = std::move(settled);
  taken_.emplace(ticket, std::move(taken));
  return {.ticket = ticket, .answer = decision.answer};
}

void AdmissionGate::FirstToken(AdmissionTicket ticket) {
  absl::MutexLock lock(&mutex_);
  admission_.FirstToken(ticket, clock_.Now());
}

void AdmissionGate::Leave(AdmissionTicket ticket, const Used& used) {
  Taken gone;
  Callbacks callbacks;
  {
    absl::MutexLock lock(&mutex_);
    const MonoTime now = clock_.Now();
    if (auto node = taken_.extract(ticket)) {
      gone = std::move(node.mapped());
      const bool waited = gone.settled != nullptr;
      rates_.GiveBack(gone.key, waited ? 1 : 0,
                      static_cast<double>(gone.tokens) - static_cast<double>(used.tokens));
    }
    Settle(admission_.Leave(ticket, now, used.longest_answer), callbacks);
  }
  Call(callbacks);
}

void AdmissionGate::Tick() {
  Callbacks callbacks;
  {
    absl::MutexLock lock(&mutex_);
    const MonoTime now = clock_.Now();
    Settle(admission_.Tick(now), callbacks);
    rates_.Forget(now);
  }
  Call(callbacks);
}

void AdmissionGate::LookAtCapacity() {
  {
    absl::MutexLock lock(&mutex_);
    const MonoTime now = clock_.Now();
    if (now - looked_ < kLookEvery) return;
    looked_ = now;
  }
  const uint64_t tokens = capacity_();
  Callbacks callbacks;
  {
    absl::MutexLock lock(&mutex_);
    Settle(admission_.SetCapacity(tokens / routers_, clock_.Now()), callbacks);
  }
  Call(callbacks);
}

void AdmissionGate::SetRouters(uint64_t routers) {
  absl::MutexLock lock(&mutex_);
  routers_ = std::max<uint64_t>(1, routers);
  rates_.SetRouters(routers_);
}

AdmissionGate::Load AdmissionGate::load() const {
  absl::MutexLock lock(&mutex_);
  return {admission_.inflight(), admission_.inflight_tokens(), admission_.queued(),
          admission_.queued_tokens(), admission_.limit()};
}

absl::Duration AdmissionGate::RetryAfter() const {
  absl::MutexLock lock(&mutex_);
  return admission_.RetryAfter(clock_.Now());
}

}  // namespace baton::router
