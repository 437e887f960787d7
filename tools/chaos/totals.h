#pragma once

// Sums over samples: of a metric whatever its labels, in one process or in all. Pure.

#include "tools/chaos/evidence.h"

namespace baton::chaos {

// Gauges of what is under way, in the router and the workers; all 0 at rest.
inline constexpr const char* kOpenGauges[] = {"baton_router_inflight_requests",
                                              "baton_router_queued_requests", "baton_calls_open",
                                              "baton_sequences_owed", "baton_handoff_pulls"};

double TotalOf(const Samples& samples, const std::string& metric);
double TotalOf(const Snapshot& snapshot, const std::string& metric);  // over the processes
int64_t TotalOf(const PageCount& count);                              // over the classes

}  // namespace baton::chaos
