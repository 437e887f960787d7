#pragma once

// The policy `slo`: predicts, for each rank that may prefill and each that may decode, the time to the first
// token and the gap between tokens that this request would see and cause there, from fits to what ranks took
// lately (rank_model.h), and picks the pair that leaves the most requests within their SLOs.
//
// The cost of a prefill rank is the chance that the first token is late, the work that is not cached there
// (it delays whoever comes next) and the queue before it. The cost of a decode rank is the change of the
// number of its streams within their gap, this one included, and how full its pages would be. A decode rank
// that computes the prompt itself (no split) is one more candidate: its prefill cost, and what the computing
// does to the gaps of its streams. The two costs add up, since the first token does not wait for the handoff
// (DESIGN section 4), so the best pair is found without trying all.
//
// A hot prefix spreads, as queues count against work that is cached. Requests without an SLO are judged by
// `ttft` and `itl`.

#include <memory>

#include "absl/status/statusor.h"
#include "services/router/policy/policy.h"
#include "services/router/policy/policy_spec.h"

namespace baton::router {

// Defaults as tuned by tools/sim on the first half of Mooncake's conversation trace, but for `queue`, which
// an Azure trace corrected (docs/placement_simulator.md).
struct SloParameters {
  double ttft = 2, itl = 0.1;  // seconds; of requests that name none
  double spread = 0.05;        // of a prediction, relative to the SLO
  double miss = 20;            // the cost of a late request, where one SLO of work costs 1
  double queue = 0.02;         // the cost of a queue as long as the SLO
  double load = 0.3;           // the cost of a gap as long as the SLO
  double pages = 2;            // the cost of full pages
  double direct = 0;           // uncached tokens below which the decode rank always computes them
};

// Nullptr if `spec` does not name it. InvalidArgument if its parameters are wrong.
absl::StatusOr<std::unique_ptr<Policy>> MakeSlo(const PolicySpec& spec, const PlacementConfig& config);

}  // namespace baton::router
