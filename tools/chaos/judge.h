#pragma once

// Judges a run: gets the reference of its load, made once and kept for the runs that follow and for later
// invocations, and asks every check. Not thread-safe.

#include <map>
#include <string>
#include <vector>

#include "tools/chaos/local_plan.h"
#include "tools/chaos/reference_key.h"
#include "tools/chaos/reference_store.h"
#include "tools/chaos/run.h"

namespace baton::chaos {

class Judge {
 public:
  // `references_dir`: where references are kept (reference_store.h); empty: nowhere. What is damaged there is
  // warned of and made anew.
  Judge(const LocalPaths& paths, std::string out_dir, std::string references_dir, Progress progress,
        GivenUp given_up);

  // As ExperimentParts::judge. An error: the reference could not be made.
  absl::StatusOr<std::vector<CheckResult>> Check(const Scenario& scenario, const Evidence& evidence,
                                                 const std::string& dir);

 private:
  using Streams = std::vector<StreamRecord>;
  absl::StatusOr<const Streams*> ReferenceFor(const Scenario& scenario, double rate);

  LocalPaths paths_;
  std::string out_dir_;
  ReferenceStore store_;
  Progress progress_;
  GivenUp given_up_;
  std::map<std::string, Origin> origins_;      // by model
  std::map<std::string, Streams> references_;  // by key
};

}  // namespace baton::chaos
