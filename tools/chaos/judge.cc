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

void Warn(const absl::Status& status) {
  absl::FPrintF(stderr, "baton-chaos: warning: %s\n", status.message());
}

}  // namespace

Judge::Judge(const LocalPaths& paths, std::string out_dir, std::string references_dir, Progress progress,
             GivenUp given_up)
    : paths_(paths),
      out_dir_(std::move(out_dir)),
      store_(std::move(references_dir)),
      progress_(std::move(progress)),
      given_up_(std::move(given_up)) {}

absl::StatusOr<const Judge::Streams*> Judge::ReferenceFor(const Scenario& scenario, double rate) {
  const Scenario reference = ReferenceScenario(scenario);
  BATON_ASSIGN_OR_RETURN(const load::LoadPlan plan, PlanLoad(scenario.load, rate));
  Origin& origin = origins_[reference.cluster.model];
  if (origin.model.empty()) {
    BATON_ASSIGN_OR_RETURN(origin, OriginOf(reference, paths_));
  }
  const std::string key = ReferenceKey(origin, reference, plan);
  const auto found = references_.find(key);
  if (found != references_.end()) return &found->second;
  absl::StatusOr<Streams> streams = store_.Load(key);
  if (!streams.ok() && !absl::IsNotFound(streams.status())) Warn(streams.status());
  if (!streams.ok() || streams->size() != plan.requests.size()) {
    const std::string logs = absl::StrCat(out_dir_, "/reference-", references_.size());
    streams = RunReference(scenario, rate, paths_, logs, progress_, given_up_);
    if (!streams.ok()) return streams.status();
    if (const absl::Status kept = store_.Keep(key, *streams); !kept.ok()) Warn(kept);
  }
  return &(references_[key] = *std::move(streams));
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
