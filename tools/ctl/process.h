#pragma once

// Child processes, and processes known by (pid, start time), so that a reused pid is never taken for the one
// meant.

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace baton::ctl {

struct ProcessId {
  pid_t pid = 0;            // 0: none
  uint64_t start_time = 0;  // clock ticks since boot, from /proc/PID/stat

  bool operator==(const ProcessId&) const = default;
};

// The start time of a live, not yet reaped-only process; 0 if there is none (or only its zombie).
uint64_t StartTimeOf(pid_t pid);
// Field 22 of a /proc/PID/stat line, 0 if it does not parse or the process is a zombie.
uint64_t ParseStartTime(const std::string& stat_line);

bool IsAlive(const ProcessId& process);
// Does nothing if that process is gone.
void Signal(const ProcessId& process, int signal);

struct SpawnOptions {
  std::vector<std::string> command;  // [0]: the path of the binary
  std::string log;                   // stdout and stderr are appended here; stdin is /dev/null
  bool new_session = false;          // out of reach of the terminal's Ctrl-C
  int signal_when_parent_dies = 0;   // 0: none
};

// All signals are unblocked and at their defaults in the child. NOT_FOUND if the binary cannot be run.
absl::StatusOr<ProcessId> Spawn(const SpawnOptions& options);

// In words: "exited with 3", "was killed by signal 9 (Killed)".
std::string DescribeExit(int wait_status);

// Waits for one of `signals` (blocked by the caller), at most that long. Returns 0 when the time is over.
int WaitForSignal(const std::vector<int>& signals, absl::Duration at_most);
// Whether one of `signals` (blocked by the caller) has come and was not yet waited for.
bool SignalIsPending(const std::vector<int>& signals);
void BlockSignals(const std::vector<int>& signals);

}  // namespace baton::ctl
