#include "services/router/serve/admission_gate.h"

#include <utility>

namespace baton::router {

AdmissionGate::Entered AdmissionGate::Arrive(uint64_t tokens, MonoTime deadline,
                                             std::function<void(bool)> settled) {
  absl::MutexLock lock(&mutex_);
  Entered entered{.ticket = next_++};
  entered.decision = admission_.Arrive(entered.ticket, tokens, deadline, clock_.Now());
  if (entered.decision.answer == AdmissionAnswer::kQueued)
    waiting_.emplace(entered.ticket, std::move(settled));
  return entered;
}

AdmissionGate::Callbacks AdmissionGate::Settle(const AdmissionChanges& changes) {
  Callbacks callbacks;
  const auto settle = [&](AdmissionTicket ticket, bool admitted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (auto node = waiting_.extract(ticket)) callbacks.emplace_back(std::move(node.mapped()), admitted);
  };
  for (const AdmissionTicket ticket : changes.admitted) settle(ticket, true);
  for (const AdmissionTicket ticket : changes.expired) settle(ticket, false);
  return callbacks;
}

void AdmissionGate::Leave(AdmissionTicket ticket) {
  std::function<void(bool)> dropped;
  Callbacks callbacks;
  {
    absl::MutexLock lock(&mutex_);
    if (auto node = waiting_.extract(ticket)) dropped = std::move(node.mapped());
    callbacks = Settle(admission_.Leave(ticket, clock_.Now()));
  }
  for (auto& [settled, admitted] : callbacks) settled(admitted);
}

void AdmissionGate::Tick() {
  Callbacks callbacks;
  {
    absl::MutexLock lock(&mutex_);
    callbacks = Settle(admission_.Tick(clock_.Now()));
  }
  for (auto& [settled, admitted] : callbacks) settled(admitted);
}

AdmissionGate::Load AdmissionGate::load() const {
  absl::MutexLock lock(&mutex_);
  return {admission_.inflight(), admission_.inflight_tokens(), admission_.queued(),
          admission_.queued_tokens()};
}

absl::Duration AdmissionGate::RetryAfter() const {
  absl::MutexLock lock(&mutex_);
  return admission_.RetryAfter(clock_.Now());
}

}  // namespace baton::router
