#include "tools/chaos/reference_run.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/chaos/local_driver.h"
#include "tools/chaos/send_load.h"

namespace baton::chaos {
namespace {

constexpr absl::Duration kPatience = absl::Hours(2);

}  // namespace

Scenario ReferenceScenario(const Scenario& scenario) {
  Scenario reference;
  reference.name = "reference";
  reference.cluster.prefill = 0;
  reference.cluster.decode = 1;
  reference.cluster.model = scenario.cluster.model;
  reference.cluster.worker_flags = {"--max_running=16"};
  for (const std::string& flag : scenario.cluster.worker_flags) {
    if (absl::StrContains(flag, "kv_dtype")) reference.cluster.worker_flags.push_back(flag);
  }
  for (const char* flag :
       {"max_queue_time", "request_timeout", "first_token_timeout", "capacity_timeout", "stall_timeout"})
    reference.cluster.router_flags.push_back(absl::StrCat("--", flag, "=2h"));
  for (const char* flag : {"max_queue=1000000", "max_queue_tokens=1000000000",
                           "max_inflight_tokens=1000000000", "max_inflight=64", "max_connections=100000"})
    reference.cluster.router_flags.push_back(absl::StrCat("--", flag));
  reference.load = scenario.load;
  reference.load.timeout = kPatience;
  reference.checks.end_within = kPatience;
  return reference;
}

absl::StatusOr<std::vector<StreamRecord>> RunReference(const Scenario& scenario, double rate,
                                                       const LocalPaths& paths, const std::string& log_dir,
                                                       const Progress& progress, const GivenUp& given_up) {
  const Scenario reference = ReferenceScenario(scenario);
  BATON_ASSIGN_OR_RETURN(load::LoadPlan plan, PlanLoad(scenario.load, rate));
  for (load::PlannedRequest& request : plan.requests) {
    request.at = absl::ZeroDuration();
    request.cancel_after = -1;
  }
  plan.duration = kPatience;
  LocalDriver driver(reference.cluster, paths, log_dir);
  const Progress told = [&](const std::string& text) { progress("reference: " + text); };
  BATON_RETURN_IF_ERROR(driver.Start(told, given_up));
  const SteadyClock clock;
  BATON_ASSIGN_OR_RETURN(LoadOutcome outcome,
                         SendPlan(reference, plan, driver.url(), clock.Now(), told, given_up));
  BATON_RETURN_IF_ERROR(driver.Stop());
  if (given_up()) return absl::CancelledError("stopped");
  for (const StreamRecord& stream : outcome.streams) {
    if (stream.Finished()) continue;
    return absl::AbortedError(absl::StrCat("the reference of request ", stream.index, " did not finish: ",
                                           stream.error.empty() ? "it never ended" : stream.error));
  }
  return std::move(outcome.streams);
}

}  // namespace baton::chaos
