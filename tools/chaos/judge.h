#pragma once

// Judges a run: gets the reference of its load, made once and kept for the runs that follow, and asks every
// check. Not thread-safe.

#include <map>
#include <string>
#include <vector>

#include "tools/chaos/local_plan.h"
#include "tools/chaos/run.h"

namespace baton::chaos {

class Judge {
 public:
  Judge(const LocalPaths& paths, std::string out_dir, Progress progress, GivenUp given_up);

  // As ExperimentParts::judge. An error: the reference could not be made.
  absl::StatusOr<std::vector<CheckResult>> Check(const Scenario& scenario, const Evidence& evidence,
                                                 const std::string& dir);

 private:
  using Streams = std::vector<StreamRecord>;
  absl::StatusOr<const Streams*> ReferenceFor(const Scenario& scenario, double rate);

  LocalPaths paths_;
  std::string out_dir_;
  Progress progress_;
  GivenUp given_up_;
  std::map<std::string, Streams> references_;  // by model and load
};

}  // namespace baton::chaos
