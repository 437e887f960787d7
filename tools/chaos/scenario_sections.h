#pragma once

// The parts of a scenario, each read from its YAML mapping. For scenario.cc.

#include "tools/chaos/scenario.h"
#include "tools/chaos/yaml_fields.h"

namespace baton::chaos {

ClusterShape ReadCluster(const YAML::Node& node, Problem* problem);
Deployment ReadDeployment(const YAML::Node& node, Problem* problem);
LoadSpec ReadLoad(const YAML::Node& node, Problem* problem);
// Faults that need the cluster to have something (networks of its own) say so in it.
FaultSpec ReadFaults(const YAML::Node& node, ClusterShape* cluster, Problem* problem);
CheckSpec ReadChecks(const YAML::Node& node, Problem* problem);
Slo ReadSlo(const YAML::Node& node, Problem* problem);
std::vector<Comparison> ReadCompare(const YAML::Node& node, Problem* problem);

}  // namespace baton::chaos
