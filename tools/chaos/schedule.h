#pragma once

// From a scenario's faults and a seed to the list of faults that a run carries out. A decision class's kind
// of function: no clock, no randomness but the seed's, so the same input gives the same schedule anywhere.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/chaos/scenario.h"

namespace baton::chaos {

// The names of the cluster's processes: "router", "kv" if there is a pool, "prefill-0"..., "decode-0"...
std::vector<std::string> ProcessNames(const ClusterShape& cluster);
// "decode" of "decode-1".
std::string RoleOf(const std::string& process);

// Fixed faults as they are, and random ones: the gaps between their beginnings are exponential with the rate
// asked for; kind, target and length are drawn evenly. Where `together` faults are still lasting (a process
// that ends counts until it is restarted, and 1 s for its start), the next one waits for an end. A process
// that is down or stopped is not struck again meanwhile. INVALID_ARGUMENT if a target is none of the
// cluster's.
absl::StatusOr<Schedule> MakeSchedule(const FaultSpec& spec, const ClusterShape& cluster, uint64_t seed);

// OK if every fault of the schedule can be meant for this cluster: targets exist, disks are there, amounts
// and durations are in their ranges.
absl::Status CheckSchedule(const Schedule& schedule, const ClusterShape& cluster);

}  // namespace baton::chaos
