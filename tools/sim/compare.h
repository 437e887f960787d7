#pragma once

// Policies side by side: each at each load, over the same arrivals of several seeds.

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/sim/requests.h"
#include "tools/sim/simulation.h"

namespace baton::simulator {

struct CompareOptions {
  ClusterOptions cluster;
  std::vector<std::string> policies;
  std::vector<double> loads;  // shares of the nominal rate
  int seeds = 10;
  uint64_t first_seed = 1;
  Half half = Half::kSecond;
  size_t most = 100000;  // requests of a run
  bool admission = false;
};

// Of one policy at one load.
struct Row {
  std::string policy;  // as it was named
  std::string described;
  double load = 0, rate = 0;     // offered: of the nominal rate; a second
  std::vector<double> goodputs;  // a second, by seed
  int64_t requests = 0, good = 0, rejected = 0, direct = 0, refused = 0, preempted = 0;
  int64_t prompt_tokens = 0, cached_tokens = 0;
  load::Histogram ttft, itl;
  double prefill_busy = 0, decode_busy = 0, prefill_balance = 0, decode_balance = 0;  // means over seeds

  double Goodput() const;  // mean over the seeds
  double GoodShare() const { return requests > 0 ? double(good) / double(requests) : 0; }
};

// Requests a second at which the ranks of one role would be busy all the time, if no prompt were cached and
// pages were the only bound of a batch: what loads are shares of.
double NominalRate(const ClusterOptions& cluster, const Trace& trace, Half half);

// Calls `done` after each run with how many there were and will be.
absl::StatusOr<std::vector<Row>> Compare(const CompareOptions& options, const Trace& trace,
                                         const std::function<void(int done, int all)>& done);

}  // namespace baton::simulator
