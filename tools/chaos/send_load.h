#pragma once

// Sends a scenario's load by the load generator (tools/load), and tells what became of each stream.

#include "tools/chaos/run.h"
#include "tools/load/plan.h"
#include "tools/load/stream_record.h"

namespace baton::chaos {

// What a load is, at `rate` requests a second. INVALID_ARGUMENT or NOT_FOUND where its trace cannot be read.
absl::StatusOr<load::LoadPlan> PlanLoad(const LoadSpec& spec, double rate);

// Sends a plan; deadlines, warm-up and SLO are the scenario's.
absl::StatusOr<LoadOutcome> SendPlan(const Scenario& scenario, const load::LoadPlan& plan,
                                     const std::string& url, MonoTime start, const Progress& progress,
                                     const GivenUp& given_up);

// RunParts::load.
absl::StatusOr<LoadOutcome> SendLoad(const Scenario& scenario, double rate, const std::string& url,
                                     MonoTime start, const Progress& progress, const GivenUp& given_up);

// A load generator's record as the checks see it. `counted`: it was scheduled after the warm-up.
StreamRecord ToStream(const load::StreamRecord& record, MonoTime start, bool counted);

}  // namespace baton::chaos
