#pragma once

// `./baton bench serve`: runs of a workload against an endpoint, at one rate, at several, or in search of the
// highest.

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/load/client.h"
#include "tools/load/collector.h"
#include "tools/load/sweep.h"
#include "tools/load/workload.h"

namespace baton::load {

struct BenchOptions {
  ClientOptions client;
  WorkloadSpec workload;        // its arrivals' rate is set by each run
  std::vector<TraceRow> trace;  // empty: none
  TraceSpec trace_spec;
  std::vector<double> rates = {1};  // for a ramp, the rate at the start
  int repeats = 1;                  // of each rate, with seeds of their own
  absl::Duration warmup, bin = absl::Milliseconds(500);
  Slo slo;
  ValidityRule rule;
  bool sweep = false;       // from the first of `rates` on
  double attainment = 0.9;  // a rate meets the SLO if this share of its requests is good
  SweepSpec sweep_spec;
};

// For a person, as the run goes on. `line` is without a line break; `lasting` lines stay.
using Say = std::function<void(const std::string& line, bool lasting)>;

// One run. INVALID_ARGUMENT for a workload that makes no sense. `why_invalid`: empty if the run is valid.
absl::StatusOr<RunResult> RunOnce(const BenchOptions& options, double rate, int repeat, bool terminal,
                                  const Say& say, std::string& why_invalid);

// All runs; INVALID_ARGUMENT too for a sweep of a trace that has times. The record lacks name, versions,
// config and commit, which the caller knows.
absl::StatusOr<RunRecord> RunBench(const BenchOptions& options, bool terminal, const Say& say);

// The figures of a run as a table.
std::string FiguresTable(const RunResult& run);

}  // namespace baton::load
