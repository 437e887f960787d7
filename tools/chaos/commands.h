#pragma once

// What `baton-chaos` does. Each command says on stdout what it found and returns the exit status: 0 what was
// expected came true, 1 it did not, 2 nothing was found out (said why on stderr), 130 stopped by Ctrl-C.

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "tools/chaos/experiment.h"
#include "tools/chaos/local_plan.h"
#include "tools/chaos/remote_commands.h"

namespace baton::chaos {

struct ChaosOptions {
  std::string scenario;  // a YAML file
  std::optional<std::string> variant;
  std::optional<uint64_t> seed;
  std::string replay;            // a schedule's file; empty: none
  std::string out_dir;           // empty: chaos-results/NAME-TIME
  std::string json;              // another copy of the run record; empty: none
  std::string driver = "local";  // "local", "podman", "docker", "kubectl"
  bool quick = false, shrink = false, dry_run = false;
  int most_shrink_runs = 20;
  LocalPaths paths;
  std::string oracle_dir;  // where references are kept; empty: nowhere
  std::string commit, version;
  bool terminal = false;  // stderr is one
};

int RunScenario(const ChaosOptions& options, const std::atomic<bool>& interrupted);
// Prints the faults that each run would suffer, as JSON that --replay takes.
int PrintSchedule(const ChaosOptions& options);

// INVALID_ARGUMENT says what is there.
absl::StatusOr<std::unique_ptr<RemoteCommands>> MakeRemoteCommands(const std::string& driver,
                                                                   const Deployment& deployment);

}  // namespace baton::chaos
