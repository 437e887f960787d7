#pragma once

// How the processes of a scenario are started on this machine: the plan of `./baton up` (tools/ctl), changed
// where a scenario needs it. Decides only.

#include <string>
#include <vector>

#include "tools/chaos/network.h"
#include "tools/chaos/scenario.h"
#include "tools/ctl/cluster_state.h"
#include "tools/ctl/supervisor.h"

namespace baton::chaos {

struct LocalPaths {
  std::string bin_dir;                    // of baton-router and the others
  std::string default_model, tiny_model;  // GGUF files
  std::string slow_disk;                  // the library that makes a disk slow; empty: none
};

// What is specific to one run on this machine.
struct LocalPlace {
  ctl::ClusterFolder folder;
  AddressOf addresses;                                       // empty: no networks of their own
  std::map<std::string, std::vector<std::string>> enter_by;  // by process, the words before its command
  std::string disk_dir, disk_control;                        // of the pool's disk tier; empty: none
};

// INVALID_ARGUMENT if the scenario names a program that is not there, or a model that cannot be read.
absl::StatusOr<std::vector<ctl::ProcessPlan>> PlanLocally(const ClusterShape& cluster,
                                                          const LocalPaths& paths, const LocalPlace& place,
                                                          int cores);

// The GGUF file that `model:` means.
std::string ModelPath(const std::string& model, const LocalPaths& paths);

}  // namespace baton::chaos
