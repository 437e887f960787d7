#include "tools/chaos/judge.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "tools/chaos/bad_streams.h"
#include "tools/chaos/checks/counter_checks.h"
#include "tools/chaos/reference_run.h"
#include "tools/chaos/run_checks.h"
#include "tools/chaos/send_load.h"

namespace baton::chaos {
namespace {

// Two loads with equal keys send the same requests.
std::string KeyOf(const Scenario& scenario, const load::LoadPlan& plan) {
  std::string key = scenario.cluster.model;
  for (const load::PlannedRequest& request : plan.requests) {
    absl::StrAppend(&key, "\n", request.after, " ", request.max_tokens, " ", request.ignore_eos, " ",
                    request.temperature, " ", request.seed, " ", request.prompt.text);
    for (const auto* parts : {&request.prompt.system, &request.prompt.user}) {
      for (const load::PromptPart& part : *parts) absl::StrAppend(&key, " ", part.key, ":", part.tokens);
    }
  }
  return key;
}

}  // namespace

Judge::Judge(const LocalPaths& paths, std::string out_dir, Progress progress, GivenUp given_up)
    : paths_(paths),
      out_dir_(std::move(out_dir)),
      progress_(std::move(progress)),
      given_up_(std::move(given_up)) {}

absl::StatusOr<const Judge::Streams*> Judge::ReferenceFor(const Scenario& scenario, double rate) {
  BATON_ASSIGN_OR_RETURN(const load::LoadPlan plan, PlanLoad(scenario.load, rate));
  const std::string key = KeyOf(scenario, plan);
  const auto found = references_.find(key);
  if (found != references_.end()) return &found->second;
  const std::string logs = absl::StrCat(out_dir_, "/reference-", references_.size());
  BATON_ASSIGN_OR_RETURN(Streams streams, RunReference(scenario, rate, paths_, logs, progress_, given_up_));
  return &(references_[key] = std::move(streams));
}

absl::StatusOr<std::vector<CheckResult>> Judge::Check(const Scenario& scenario, const Evidence& evidence,
                                                      const std::string& dir) {
  static const Streams kNone;
  const Streams* reference = &kNone;
  if (scenario.checks.tokens_equal) {
    BATON_ASSIGN_OR_RETURN(reference, ReferenceFor(scenario, evidence.rate));
  }
  BATON_RETURN_IF_ERROR(KeepBadStreams(evidence, *reference, dir + "/bad_streams.jsonl"));
  std::vector<CheckResult> results = CheckRun(scenario.checks, evidence, *reference);
  for (CheckResult& result : CheckCounters(evidence, *reference)) results.push_back(std::move(result));
  return results;
}

}  // namespace baton::chaos
