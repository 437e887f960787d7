#pragma once

// One run: a cluster is started, loaded, struck and looked over.

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "tools/chaos/driver.h"
#include "tools/chaos/evidence.h"
#include "tools/chaos/scenario.h"
#include "tools/load/run_record.h"

namespace baton::chaos {

struct LoadOutcome {
  std::vector<StreamRecord> streams;
  load::RunResult result;  // its label, rate, repeat and marks are the runner's to fill
  bool kept_schedule = true;
  std::string lag;  // in words
  double load_end_s = 0, drained_s = 0;
};

// How far a run is: for the progress line.
using Progress = std::function<void(const std::string&)>;
using GivenUp = std::function<bool()>;

// What a run is made of. The real ones are in parts.h.
struct RunParts {
  std::function<std::unique_ptr<Driver>(const Scenario&, const std::string& log_dir)> make_driver;
  // Sends the load from `start` on; returns when every stream has ended, or `end_within` after the last
  // arrival.
  std::function<absl::StatusOr<LoadOutcome>(const Scenario&, double rate, const std::string& url,
                                            MonoTime start, const Progress&, const GivenUp&)>
      load;
};

struct RunWish {
  std::string label;  // variant, or the scenario's name
  double rate = 0;
  int repeat = 0;
  Schedule schedule;
  std::string log_dir;
};

struct RunOutcome {
  Evidence evidence;
  load::RunResult result;
};

// An error means that nothing was found out: the cluster did not start, the load could not be sent, or it was
// CANCELLED. The cluster is stopped and every fault undone in any case.
absl::StatusOr<RunOutcome> RunOnce(const Scenario& scenario, const RunWish& wish, const RunParts& parts,
                                   const Progress& progress, const GivenUp& given_up);

// {"ttft_ms.p90": 12.5, "goodput_per_s": …, "errors": …, "errors.429": …, "tenants.a.…": …}.
std::map<std::string, double> Flatten(const load::Summary& summary);

}  // namespace baton::chaos
