#include "tools/chaos/fault.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace baton::chaos {
namespace {

constexpr std::array kNames = {"kill", "terminate", "stop",      "restart",      "partition",
                               "loss", "slow_disk", "full_disk", "exhaust_pages"};
static_assert(kNames.size() == kFaultKinds.size());

std::string Between(const Fault& fault, const char* sign) {
  if (fault.peer.empty() || fault.peer == "all") return fault.target;
  return absl::StrCat(fault.target, sign, fault.peer);
}

}  // namespace

std::string NameOf(FaultKind kind) {
  return kNames[static_cast<size_t>(kind)];
}

absl::StatusOr<FaultKind> ParseFaultKind(const std::string& name) {
  for (const FaultKind kind : kFaultKinds) {
    if (NameOf(kind) == name) return kind;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("there is no fault '", name, "'; there are ", absl::StrJoin(kNames, ", ")));
}

bool Ends(FaultKind kind) {
  return kind == FaultKind::kKill || kind == FaultKind::kTerminate || kind == FaultKind::kRestart;
}

bool Lasts(FaultKind kind) {
  return !Ends(kind);
}

std::string Describe(const Fault& fault) {
  const std::string lasting =
      Lasts(fault.kind) ? absl::StrCat(" for ", absl::FormatDuration(fault.lasting)) : "";
  switch (fault.kind) {
    case FaultKind::kKill:
      return absl::StrCat("kill -9 ", fault.target);
    case FaultKind::kTerminate:
      return absl::StrCat("SIGTERM ", fault.target);
    case FaultKind::kStop:
      return absl::StrCat("SIGSTOP ", fault.target, lasting);
    case FaultKind::kRestart:
      return absl::StrCat("restart ", fault.target);
    case FaultKind::kPartition:
      return absl::StrCat("partition ", Between(fault, " | "), fault.peer == "all" ? " | all" : "", lasting);
    case FaultKind::kLoss:
      return absl::StrCat("lose ", fault.amount, "% ", Between(fault, " - "), lasting);
    case FaultKind::kSlowDisk:
      return absl::StrCat("disk ", fault.amount, " ms slower ", fault.target, lasting);
    case FaultKind::kFullDisk:
      return absl::StrCat("disk full ", fault.target, lasting);
    case FaultKind::kExhaustPages:
      return absl::StrCat("take pages of ", fault.target, " but ", fault.amount, "%", lasting);
  }
  return fault.target;
}

}  // namespace baton::chaos
