#pragma once

// A scenario file carried out: every variant at every rate, as often as it says; then what held, beside what
// was expected.

#include <optional>
#include <string>
#include <vector>

#include "tools/chaos/run.h"
#include "tools/chaos/scenario.h"

namespace baton::chaos {

struct ExperimentWish {
  std::optional<std::string> variant;  // only this one: comparisons with others are left out
  std::optional<uint64_t> seed;        // of faults, in the place of the scenario's
  std::optional<Schedule> replay;      // in the place of what the scenario and the seed say
  std::string out_dir;                 // of logs and schedules
};

struct ExperimentParts {
  RunParts run;
  // What must hold of a run, judged. Also keeps what helps to find out why, in `dir`.
  std::function<absl::StatusOr<std::vector<CheckResult>>(const Scenario&, const Evidence&,
                                                         const std::string& dir)>
      judge;
};

enum class Verdict {
  kAsExpected,   // held or failed, as the file says
  kUnexpected,   // the other way round
  kInconclusive  // the load generator could not keep its schedule, or nothing could be compared
};

struct ExperimentOutcome {
  bool held = false;
  Verdict verdict = Verdict::kInconclusive;
  load::RunRecord record;  // without machine, commit, versions, which are the caller's to fill
};

// Runs one after the other, and keeps each one's faults beside its logs: OUT/LABEL/faults.json. An error as
// of RunOnce, with the run that it ended.
absl::StatusOr<ExperimentOutcome> RunExperiment(const ScenarioFile& file, const ExperimentWish& wish,
                                                const ExperimentParts& parts, const Progress& progress,
                                                const GivenUp& given_up);

// The faults that a run of this scenario suffers: `repeat` adds to the seed, so that repeats differ.
absl::StatusOr<Schedule> ScheduleOf(const Scenario& scenario, const ExperimentWish& wish, int repeat);

struct Compared {
  CheckResult check;
  std::optional<load::Row> row;  // none where a figure is missing
};
// One result for each comparison and rate that both sides ran at: medians over the repeats.
std::vector<Compared> Compare(const std::vector<Comparison>& comparisons, const std::vector<Evidence>& runs);

// For a person: a table of the runs, the checks that failed, and the verdict.
std::string Describe(const ScenarioFile& file, const ExperimentOutcome& outcome);

}  // namespace baton::chaos
