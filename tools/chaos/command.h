#pragma once

// Runs small programs (ip, iptables, podman, kubectl) and tells how they ended.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace baton::chaos {

struct Command {
  std::vector<std::string> words;  // [0] is looked up in PATH
  std::string input;               // to its stdin

  bool operator==(const Command&) const = default;
};

// As one would type it in a shell.
std::string ToShell(const Command& command);

// What it wrote to stdout, if it ended with 0 in time. Otherwise an error with the end of its stderr:
// NOT_FOUND if there is no such program, DEADLINE_EXCEEDED (it is killed), FAILED_PRECONDITION for any other
// end. Ctrl-C at a terminal doesn't reach it. Safe to call from any thread.
absl::StatusOr<std::string> RunCommand(const Command& command, absl::Duration at_most = absl::Seconds(20));

}  // namespace baton::chaos
