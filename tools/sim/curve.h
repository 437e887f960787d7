#pragma once

// How long a step of a rank takes, and what else of a rank the simulator must know: a roofline with a fixed
// part (Williams, Waterman, Patterson: "Roofline", CACM 52(4), 2009):
//
//   seconds = fixed_s + max(token_s * tokens + pair_s * pairs,  weights_s + context_s * context)
//
// The first is arithmetic, the second memory. Curves are JSON files of these fields (tools/sim/curves).

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace baton::simulator {

// Of one step, over all its sequences.
struct StepWork {
  double tokens = 0;   // computed
  double pairs = 0;    // of a token and one that it attends to
  double context = 0;  // tokens whose keys and values are read
};

struct StepCurve {
  std::string name, about;
  double fixed_s = 0, token_s = 0, pair_s = 0, weights_s = 0, context_s = 0;
  double kv_tokens = 0;            // what a rank's page pool holds
  double kv_bytes_per_token = 0;   // of a handoff
  double link_bytes_per_s = 1;     // in or out of a rank
  double link_latency_s = 0;       // of a handoff, once
  double prefill_step_tokens = 0;  // a step's budget, of a prefill rank
  double decode_step_tokens = 0;   // and of a decode rank
  double max_running = 0;          // sequences that decode at once
  double ttft_slo_s = 0, itl_slo_s = 0;

  double StepSeconds(const StepWork& work) const;
};

// InvalidArgument names the field that is missing, unknown or out of range.
absl::StatusOr<StepCurve> ParseCurve(absl::string_view json);
absl::StatusOr<StepCurve> ReadCurve(const std::string& path);

}  // namespace baton::simulator
