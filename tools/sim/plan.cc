#include "tools/sim/plan.h"

#include <algorithm>
#include <boost/json.hpp>
#include <set>
#include <tuple>

#include "absl/strings/str_format.h"
#include "common/status_macros.h"

namespace baton::simulator {
namespace {

constexpr uint32_t kScanAll = 9;
constexpr uint32_t kSteps = 8;

bool Better(const Trial& one, const Trial& other) {
  return std::make_tuple(-one.good_share, one.strain) < std::make_tuple(-other.good_share, other.strain);
}

class Search {
 public:
  Search(const PlanGoal& goal, const Try& attempt) : goal_(goal), attempt_(attempt) {}

  absl::StatusOr<Trial> BestSplit(uint32_t ranks) {
    uint32_t step = ranks <= kScanAll ? 1 : (ranks + kSteps - 1) / kSteps;
    Trial best;
    for (uint32_t prefill = std::max(1u, step / 2); prefill < ranks; prefill += step)
      BATON_RETURN_IF_ERROR(Improve(ranks, prefill, &best));
    while (step > 1) {
      step = (step + 1) / 2;
      const uint32_t middle = best.prefill;
      if (middle > step) BATON_RETURN_IF_ERROR(Improve(ranks, middle - step, &best));
      if (middle + step < ranks) BATON_RETURN_IF_ERROR(Improve(ranks, middle + step, &best));
    }
    return best;
  }

  bool Meets(const Trial& trial) const { return trial.good_share >= goal_.share; }
  std::vector<Trial> TakeTrials() { return std::move(trials_); }

 private:
  absl::Status Improve(uint32_t ranks, uint32_t prefill, Trial* best) {
    if (!tried_.emplace(ranks, prefill).second) return absl::OkStatus();
    BATON_ASSIGN_OR_RETURN(const Trial trial, attempt_(prefill, ranks - prefill));
    trials_.push_back(trial);
    if (best->prefill == 0 || Better(trial, *best)) *best = trial;
    return absl::OkStatus();
  }

  const PlanGoal& goal_;
  const Try& attempt_;
  std::set<std::pair<uint32_t, uint32_t>> tried_;
  std::vector<Trial> trials_;
};

// The best split of the fewest ranks that do; of the most, if none do.
absl::StatusOr<Trial> Fewest(uint32_t most, Search& search) {
  uint32_t too_few = 1;
  BATON_ASSIGN_OR_RETURN(Trial best, search.BestSplit(2));
  while (!search.Meets(best) && best.ranks() < most) {
    too_few = best.ranks();
    BATON_ASSIGN_OR_RETURN(best, search.BestSplit(std::min(most, 2 * too_few)));
  }
  if (!search.Meets(best)) return best;
  while (best.ranks() - too_few > 1) {
    const uint32_t middle = (best.ranks() + too_few) / 2;
    BATON_ASSIGN_OR_RETURN(const Trial trial, search.BestSplit(middle));
    if (search.Meets(trial)) {
      best = trial;
    } else {
      too_few = middle;
    }
  }
  return best;
}

double Strain(const RunResult& run, const ClusterOptions& cluster) {
  double sum = 0;
  for (const Outcome& outcome : run.outcomes)
    sum += outcome.ttft_s < 0 ? 10 : outcome.ttft_s / cluster.ttft_slo_s + outcome.itl_s / cluster.itl_slo_s;
  return run.outcomes.empty() ? 0 : sum / double(run.outcomes.size());
}

}  // namespace

absl::StatusOr<Plan> FindPlan(const PlanGoal& goal, const Try& attempt) {
  const uint32_t most = goal.ranks > 0 ? goal.ranks : goal.max_ranks;
  if (most < 2 || most > 2000) return absl::InvalidArgumentError("a cluster has from 2 to 2000 ranks");
  if (!(goal.share > 0 && goal.share <= 1))
    return absl::InvalidArgumentError("the share that must meet the SLOs is above 0 and at most 1");
  Search search(goal, attempt);
  Plan plan;
  if (goal.ranks > 0) {
    BATON_ASSIGN_OR_RETURN(plan.best, search.BestSplit(goal.ranks));
  } else {
    BATON_ASSIGN_OR_RETURN(plan.best, Fewest(most, search));
  }
  plan.meets = search.Meets(plan.best);
  plan.trials = search.TakeTrials();
  return plan;
}

Try SimulatedTry(const CompareOptions& options, const Trace& trace, double rate,
                 const std::function<void(const Trial&)>& done) {
  return [&options, &trace, rate, done](uint32_t prefill, uint32_t decode) -> absl::StatusOr<Trial> {
    RunOptions run_options{.cluster = options.cluster, .policy = options.policies.front()};
    run_options.cluster.prefill = prefill;
    run_options.cluster.decode = decode;
    run_options.admission = options.admission;
    Trial trial{.prefill = prefill, .decode = decode};
    int64_t requests = 0, good = 0;
    for (int i = 0; i < options.seeds; ++i) {
      run_options.seed = options.first_seed + uint64_t(i);
      const std::vector<Request> sent = MakeRequests(
          trace, {.half = options.half, .rate = rate, .seed = run_options.seed, .most = options.most});
      BATON_ASSIGN_OR_RETURN(const RunResult run, Simulate(run_options, sent, trace.block_tokens));
      requests += run.requests;
      good += run.good;
      trial.strain += Strain(run, run_options.cluster) / options.seeds;
      trial.goodput += run.Goodput() / options.seeds;
    }
    trial.good_share = requests > 0 ? double(good) / double(requests) : 0;
    done(trial);
    return trial;
  };
}

std::string PlanToText(const std::string& about, const PlanGoal& goal, const Plan& plan) {
  std::string out = about + "\n\n";
  std::vector<Trial> shown = plan.trials;
  std::sort(shown.begin(), shown.end(), [](const Trial& a, const Trial& b) {
    return std::make_tuple(a.ranks(), a.prefill) < std::make_tuple(b.ranks(), b.prefill);
  });
  absl::StrAppendFormat(&out, "%6s %8s %7s %7s %10s\n", "ranks", "prefill", "decode", "good", "goodput/s");
  for (const Trial& trial : shown) {
    const bool best = trial.ranks() == plan.best.ranks() && trial.prefill == plan.best.prefill;
    absl::StrAppendFormat(&out, "%6d %8d %7d %6.1f%% %10.3f%s\n", trial.ranks(), trial.prefill, trial.decode,
                          100 * trial.good_share, trial.goodput, best ? "  <" : "");
  }
  absl::StrAppendFormat(
      &out, "\n%s: %d prefill and %d decode ranks; %.1f%% of the requests are good, %.1f%% are wanted\n",
      plan.meets ? "Plan" : "NOT ENOUGH, the best", plan.best.prefill, plan.best.decode,
      100 * plan.best.good_share, 100 * goal.share);
  return out;
}

std::string PlanToJson(const std::string& about, const std::string& commit, const PlanGoal& goal,
                       const Plan& plan) {
  boost::json::array rows;
  for (const Trial& trial : plan.trials) {
    rows.push_back({{"name", absl::StrFormat("good requests of %d prefill and %d decode ranks", trial.prefill,
                                             trial.decode)},
                    {"value", trial.good_share},
                    {"unit", "share"},
                    {"target", goal.share},
                    {"prefill", trial.prefill},
                    {"decode", trial.decode},
                    {"goodput", trial.goodput}});
  }
  return boost::json::serialize(boost::json::object{{"machine", "simulated"},
                                                    {"commit", commit},
                                                    {"about", about},
                                                    {"meets", plan.meets},
                                                    {"prefill", plan.best.prefill},
                                                    {"decode", plan.best.decode},
                                                    {"rows", std::move(rows)}}) +
         "\n";
}

}  // namespace baton::simulator
