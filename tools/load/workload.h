#pragma once

// Plans from a description of the load, or from a trace. Pure: all from the seed.

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/load/arrivals.h"
#include "tools/load/plan.h"
#include "tools/load/trace.h"

namespace baton::load {

struct Tenant {
  std::string name;
  double share = 1;  // of the arrivals, relative to the others'
  int priority = 0;
  std::optional<Lengths> prompt, answer;  // instead of the workload's
};
// "NAME[:SHARE[:PRIORITY]],...".
absl::StatusOr<std::vector<Tenant>> ParseTenants(absl::string_view text);

struct WorkloadSpec {
  ArrivalSpec arrivals;  // of requests, or of sessions
  Lengths prompt, answer{.first = 32};
  int64_t shared_prompts = 0, shared_tokens = 0;  // system prompts to draw from, and how long each is
  int64_t turns = 1;                              // of a session
  absl::Duration think = absl::Seconds(1);        // from the end of a turn to the arrival of the next
  std::vector<Tenant> tenants;                    // empty: one, without a name
  double cancel_share = 0;                        // of the requests: the client hangs up
  int64_t cancel_after = 8;                       // after so many tokens
  bool ignore_eos = true;
  double temperature = 0;
  uint64_t seed = 1;  // of all but the arrivals, which have their own
};

// INVALID_ARGUMENT for what is out of range.
absl::StatusOr<LoadPlan> MakePlan(const WorkloadSpec& spec);

struct TraceSpec {
  double speed = 1;                                    // the trace's times are divided by it
  double length_scale = 1;                             // of prompts and answers
  int64_t max_prompt = 1000000, max_answer = 1000000;  // tokens; longer ones are cut, keeping the beginning
};

// The trace's requests within spec.arrivals.duration, at most `most` of them. Rows without times take those
// of spec.arrivals. Tenants, cancels, temperature and ignore_eos are of `spec`; lengths and sharing of the
// trace.
absl::StatusOr<LoadPlan> TracePlan(const WorkloadSpec& spec, const std::vector<TraceRow>& rows,
                                   const TraceSpec& trace);

}  // namespace baton::load
