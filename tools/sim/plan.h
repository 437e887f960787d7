#pragma once

// How many ranks a load wants, and how many of them shall read prompts: a search over simulated clusters.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/sim/compare.h"

namespace baton::simulator {

// One cluster under the load.
struct Trial {
  uint32_t prefill = 0, decode = 0;
  double good_share = 0;  // of the requests within both SLOs
  double strain = 0;      // mean of first token / its SLO plus gap / its SLO: less is better
  double goodput = 0;     // good requests a second
  uint32_t ranks() const { return prefill + decode; }
};

// Does what a trial is of; the search below only chooses.
using Try = std::function<absl::StatusOr<Trial>(uint32_t prefill, uint32_t decode)>;

struct PlanGoal {
  double share = 0.95;      // of the requests that must meet both SLOs
  uint32_t ranks = 0;       // as many exactly; 0: as few as will do
  uint32_t max_ranks = 64;  // if ranks is 0
};

struct Plan {
  std::vector<Trial> trials;  // all, in the order in which they were made
  Trial best;                 // of the planned number of ranks; if none will do, of the most that were tried
  bool meets = false;         // best has the share
};

// The best split of each number of ranks is found by a scan of all up to 9 ranks, else of about 8 even steps,
// then of ever smaller ones around the best, which may miss it if there is more than one top. The fewest
// ranks are found by doubling, then bisection, as if more ranks never did worse. InvalidArgument: fewer than
// 2 ranks, or a share out of (0, 1].
absl::StatusOr<Plan> FindPlan(const PlanGoal& goal, const Try& attempt);

// Simulates the first policy at `rate` requests a second over `options.seeds` seeds; prefill, decode and
// loads of `options` do not count. `done` is called after each trial.
Try SimulatedTry(const CompareOptions& options, const Trace& trace, double rate,
                 const std::function<void(const Trial&)>& done);

// `about` is a line for people: what was simulated.
std::string PlanToText(const std::string& about, const PlanGoal& goal, const Plan& plan);
std::string PlanToJson(const std::string& about, const std::string& commit, const PlanGoal& goal,
                       const Plan& plan);

}  // namespace baton::simulator
