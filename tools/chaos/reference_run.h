#pragma once

// The streams that a single undisturbed process gives for a load: one decode worker that reads prompts too,
// no handoff, no fault, the requests as fast as it takes them.

#include "tools/chaos/local_plan.h"
#include "tools/chaos/run.h"

namespace baton::chaos {

// The cluster that the reference comes from: the scenario's model and key-value format, nothing else of it.
Scenario ReferenceScenario(const Scenario& scenario);

// By index, each finished. An error if one did not finish, or as of RunOnce.
absl::StatusOr<std::vector<StreamRecord>> RunReference(const Scenario& scenario, double rate,
                                                       const LocalPaths& paths, const std::string& log_dir,
                                                       const Progress& progress, const GivenUp& given_up);

}  // namespace baton::chaos
