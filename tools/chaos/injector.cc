#include "tools/chaos/injector.h"

#include <signal.h>

#include <algorithm>

namespace baton::chaos {
namespace {

constexpr absl::Duration kRestartGrace = absl::Seconds(20);

}  // namespace

Injector::~Injector() {
  (void)EndAll();
}

absl::Status Injector::Begin(size_t index, const Fault& fault) {
  if (Lasts(fault.kind)) lasting_[index] = fault;
  const absl::Status struck = Strike(index, fault);
  if (!struck.ok() && lasting_.erase(index) > 0) (void)Heal(index, fault);
  return struck;
}

absl::Status Injector::Strike(size_t index, const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::kKill:
      return driver_.End(fault.target, SIGKILL, fault.restart_after, absl::InfiniteDuration());
    case FaultKind::kTerminate:
      return driver_.End(fault.target, SIGTERM, fault.restart_after, absl::InfiniteDuration());
    case FaultKind::kRestart:
      return driver_.End(fault.target, SIGTERM, fault.restart_after, kRestartGrace);
    case FaultKind::kStop:
      return driver_.Signal(fault.target, SIGSTOP);
    case FaultKind::kPartition:
    case FaultKind::kLoss:
      return ApplyNetwork();
    case FaultKind::kSlowDisk:
    case FaultKind::kFullDisk:
      return ApplyDisk(fault.target);
    case FaultKind::kExhaustPages: {
      auto holder = PageHolder::Take(driver_, fault.target, fault.amount);
      if (!holder.ok()) return holder.status();
      holders_[index] = *std::move(holder);
      return absl::OkStatus();
    }
  }
  return absl::InternalError("unknown fault");
}

absl::Status Injector::End(size_t index) {
  const auto found = lasting_.find(index);
  if (found == lasting_.end()) return absl::OkStatus();
  const Fault fault = found->second;
  lasting_.erase(found);
  return Heal(index, fault);
}

absl::Status Injector::Heal(size_t index, const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::kStop: {
      if (IsStopped(fault.target)) return absl::OkStatus();
      const absl::Status gone_on = driver_.Signal(fault.target, SIGCONT);
      return absl::IsFailedPrecondition(gone_on) ? absl::OkStatus() : gone_on;  // killed meanwhile
    }
    case FaultKind::kPartition:
    case FaultKind::kLoss:
      return ApplyNetwork();
    case FaultKind::kSlowDisk:
    case FaultKind::kFullDisk:
      return ApplyDisk(fault.target);
    case FaultKind::kExhaustPages:
      holders_.erase(index);
      return absl::OkStatus();
    default:
      return absl::OkStatus();
  }
}

absl::Status Injector::EndAll() {
  absl::Status first;
  while (!lasting_.empty()) first.Update(End(lasting_.begin()->first));
  return first;
}

absl::Status Injector::ApplyNetwork() {
  std::vector<NetworkFault> faults;
  for (const auto& [index, fault] : lasting_) {
    const bool cut = fault.kind == FaultKind::kPartition;
    if (cut || fault.kind == FaultKind::kLoss)
      faults.push_back({fault.target, fault.peer, cut ? 100 : fault.amount});
  }
  return driver_.SetNetwork(faults);
}

absl::Status Injector::ApplyDisk(const std::string& process) {
  DiskFault disk;
  for (const auto& [index, fault] : lasting_) {
    if (fault.target != process) continue;
    if (fault.kind == FaultKind::kSlowDisk) disk.delay_ms = std::max(disk.delay_ms, fault.amount);
    disk.full |= fault.kind == FaultKind::kFullDisk;
  }
  return driver_.SetDisk(process, disk);
}

bool Injector::IsStopped(const std::string& process) const {
  return std::any_of(lasting_.begin(), lasting_.end(), [&](const auto& entry) {
    return entry.second.kind == FaultKind::kStop && entry.second.target == process;
  });
}

}  // namespace baton::chaos
