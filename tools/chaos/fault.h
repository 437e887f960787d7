#pragma once

// The faults that a run suffers. Plain data.

#include <array>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace baton::chaos {

enum class FaultKind {
  kKill,         // SIGKILL; started again `restart_after` later
  kTerminate,    // SIGTERM: drains and ends; started again `restart_after` later
  kStop,         // SIGSTOP, and SIGCONT at the end
  kRestart,      // SIGTERM, SIGKILL where that takes longer than the drain, and started again
  kPartition,    // nothing passes between `target` and `peer`, both ways
  kLoss,         // `amount` percent of the packets from and to `target` (between it and `peer`) are lost
  kSlowDisk,     // each read, write and sync of the disk tier of `target` takes `amount` ms longer
  kFullDisk,     // the disk tier of `target` has no room left
  kExhaustPages  // long streams hold the pages of `target` (NAME or NAME/RANK) but for `amount` percent
};

inline constexpr std::array kFaultKinds = {
    FaultKind::kKill,     FaultKind::kTerminate, FaultKind::kStop,
    FaultKind::kRestart,  FaultKind::kPartition, FaultKind::kLoss,
    FaultKind::kSlowDisk, FaultKind::kFullDisk,  FaultKind::kExhaustPages};

// "kill", "terminate", "stop", "restart", "partition", "loss", "slow_disk", "full_disk", "exhaust_pages".
std::string NameOf(FaultKind kind);
// INVALID_ARGUMENT lists what there is.
absl::StatusOr<FaultKind> ParseFaultKind(const std::string& name);

// Whether it lasts: it is undone at its end. The others (kill, terminate, restart) happen once.
bool Lasts(FaultKind kind);
// Whether it takes a process's life.
bool Ends(FaultKind kind);

struct Fault {
  absl::Duration at;  // after the load's start
  FaultKind kind = FaultKind::kKill;
  std::string target;            // a process: "router", "kv", "prefill-0", "decode-1"
  std::string peer;              // partition, loss: the other one; "all": everybody, its clients too
  absl::Duration lasting;        // of those that last
  double amount = 0;             // of its kind, see FaultKind
  absl::Duration restart_after;  // of those that end a process; infinite: never

  bool operator==(const Fault&) const = default;
};

// "kill -9 decode-1", "partition prefill-0 | decode-1 for 5s".
std::string Describe(const Fault& fault);

// By `at`; faults of one time in the order they were written.
struct Schedule {
  uint64_t seed = 0;  // of what was drawn at random
  std::vector<Fault> faults;

  bool operator==(const Schedule&) const = default;
};

// {"format": "baton-faults-1", "seed": …, "faults": [{"at": "1.5s", "kind": …, …}]}. Writing and reading
// gives the same schedule to the nanosecond. INVALID_ARGUMENT names the fault and the field at fault.
std::string ToJson(const Schedule& schedule);
absl::StatusOr<Schedule> ParseSchedule(const std::string& json);

}  // namespace baton::chaos
