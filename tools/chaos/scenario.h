#pragma once

// What a run is: a YAML file as plain structs (docs/chaos.md lists every key). Reading is strict: an unknown
// key, a missing one or a bad value is refused with its line and column and what is allowed.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/chaos/fault.h"
#include "tools/chaos/load_spec.h"

namespace baton::chaos {

// Whether the hypothesis is expected to hold today. What comes otherwise, either way, is reported loudly.
struct Expectation {
  bool holds = true;
  std::string because;  // needed where it fails
};

struct ClusterShape {
  int prefill = 1, decode = 2;         // prefill 0: decode workers read prompts too
  int ranks = 1;                       // of each worker
  int threads = 0;                     // of each rank; 0: the cores shared out
  std::string model = "default";       // "default", "tiny", or the path of a GGUF file
  int kv_pool_mb = 0, kv_disk_mb = 0;  // 0: none
  std::vector<std::string> worker_flags, router_flags, pool_flags;
  // Other programs for single processes or whole roles, as {"decode-1": "baton-decode-planted"}: a path, or
  // a name beside the usual ones.
  std::map<std::string, std::string> programs;
  bool own_networks = false;  // each process in a network namespace; implied by partition and loss
  absl::Duration restart_after = absl::Seconds(1);  // of processes that die; infinite: they stay dead
  absl::Duration start_within = absl::Seconds(120);
};

// Where the cluster runs when it is not started here (drivers podman and kubectl). `{name}` in a template is
// the process's name ("decode-1"), `{role}` and `{index}` its parts.
struct Deployment {
  std::string url;                           // of the router, from here
  std::string container = "{role}-{index}";  // podman, docker: the container's name
  std::string network = "baton_default";     // of the compose project
  int metrics_port = 9100;                   // --http_listen of the workers and the pool, inside
  std::string kubernetes_namespace = "baton", pod = "{name}", kubernetes_context;
};

struct RandomFaults {
  std::vector<FaultKind> kinds;
  std::vector<std::string> targets;  // processes, or roles: "decode" is any decode worker
  double per_minute = 0;
  absl::Duration from, until;                                                     // after the load's start
  absl::Duration shortest = absl::Milliseconds(200), longest = absl::Seconds(3);  // of those that last
  int together = 1;                     // at most so many at a time, restarts included
  std::map<FaultKind, double> amounts;  // per kind; without: loss 20 %, slow_disk 100 ms, exhaust_pages 10 %
};

struct FaultSpec {
  std::vector<Fault> fixed;
  std::optional<RandomFaults> random;
};

// A bound on a figure of the run's summary: "ttft_ms.p90", "goodput_per_s", "tenants.a.itl_ms.max".
struct Bound {
  std::string metric;
  std::optional<double> at_least, at_most;
};

// After the last fault's end, the series must come back to `factor` of its median before the first fault, and
// stay there for 2 s, within this time.
struct Recovery {
  absl::Duration within;
  std::string series = "output_tokens_per_s";  // of the run's timeline
  double factor = 0.8;
};

// What must hold in each run.
struct CheckSpec {
  bool streams_end = true;   // every stream ends: with a finish reason or an explicit error
  bool tokens_equal = true;  // of every stream, the oracle's: whole if it finished, a prefix if it broke off
  bool no_leak = true;       // once idle, every page is free or cached, and nothing is left open
  bool client_kept_schedule = true;                // the load generator was not late itself
  std::optional<int> errors_at_most = 0;           // streams that ended in an error; nothing: any number
  bool refusals_are_errors = true;                 // 429, too
  absl::Duration end_within = absl::Seconds(60);   // of streams, after the last arrival
  absl::Duration idle_within = absl::Seconds(30);  // of pages, after the last stream's end
  std::optional<Recovery> recovery;
  bool pages_add_up = true;                     // at every look while the load runs
  std::optional<double> memory_growth_mb;       // of each process, at most
  std::optional<double> handoffs_held;          // share, at least
  std::optional<absl::Duration> gap_at_faults;  // the longest wait of any stream at a fault, at most
  std::vector<Bound> bounds;
};

// A figure of one variant beside that of another: left / right, medians over the repeats, at the same rate;
// at their own where each ran at a single one.
struct Comparison {
  std::string metric, left, right;  // variants
  std::optional<double> at_least, at_most;
  std::optional<double> rate;  // only there; otherwise at every rate that both ran
};

struct Slo {
  double ttft_ms = 1000, tpot_ms = 200;
};

// One thing to run. Where the file has variants, there is one Scenario for each.
struct Scenario {
  std::string name, hypothesis, variant;
  Expectation expected;
  int repeats = 1;
  std::vector<double> rates;  // runs the load at each; empty: at the load's own
  uint64_t seed = 1;          // of faults; of the load, load.seed
  ClusterShape cluster;
  Deployment deployment;
  LoadSpec load;
  FaultSpec faults;
  CheckSpec checks;
  Slo slo;
};

struct ScenarioFile {
  std::string name, hypothesis;
  Expectation expected;
  std::vector<Scenario> variants;  // at least one; without `variants:` it has the name ""
  std::vector<Comparison> compare;
  std::string text;  // as read
};

// `quick` merges the file's `quick:` overrides over everything, and those of its `variants:` over each
// variant. INVALID_ARGUMENT as "LINE:COLUMN: what".
absl::StatusOr<ScenarioFile> ParseScenario(const std::string& yaml, bool quick);
// The same with "PATH:LINE:COLUMN: what"; NOT_FOUND if it cannot be read.
absl::StatusOr<ScenarioFile> ReadScenario(const std::string& path, bool quick);

}  // namespace baton::chaos
