#pragma once

// One run: requests in, what became of them out. Virtual time; the same options give the same result, bit for
// bit.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tools/load/histogram.h"
#include "tools/sim/curve.h"
#include "tools/sim/requests.h"

namespace baton::simulator {

struct ClusterOptions {
  uint32_t prefill = 8, decode = 8;  // ranks
  uint32_t ranks_per_worker = 8;
  StepCurve curve;
  double ttft_slo_s = 4, itl_slo_s = 0.05;
};

struct RunOptions {
  ClusterOptions cluster;
  std::string policy;
  uint64_t seed = 1;
  bool admission = false;
  double warmup_share = 0.1;  // of the requests, by time: the figures are of those after
};

struct Outcome {
  double ttft_s = -1;  // less than 0: was sent away, or never answered
  double itl_s = 0;    // mean gap between its tokens
};

struct RunResult {
  std::string policy;  // as it describes itself
  int64_t requests = 0, good = 0, rejected = 0;
  double span_s = 0;          // of their arrivals
  load::Histogram ttft, itl;  // of first tokens; of every gap between tokens
  int64_t prompt_tokens = 0, cached_tokens = 0;
  int64_t direct = 0;  // whose prompt the decode rank computed
  int64_t refused = 0, preempted = 0;
  double prefill_busy = 0, decode_busy = 0;        // share of the time that ranks were stepping
  double prefill_balance = 0, decode_balance = 0;  // mean over most of the ranks' busy times
  std::vector<Outcome> outcomes;                   // of all, warm-up included, in the order of `requests`

  double Goodput() const { return span_s > 0 ? double(good) / span_s : 0; }
  double GoodShare() const { return requests > 0 ? double(good) / double(requests) : 0; }
  double CachedShare() const { return prompt_tokens > 0 ? double(cached_tokens) / double(prompt_tokens) : 0; }
};

// InvalidArgument: the policy is none, or the cluster has no ranks.
absl::StatusOr<RunResult> Simulate(const RunOptions& options, absl::Span<const Request> requests,
                                   uint32_t page_tokens);

}  // namespace baton::simulator
