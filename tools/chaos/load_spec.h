#pragma once

// The `load:` section of a scenario: what the load generator (tools/load) shall send. Plain data.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace baton::chaos {

// Evenly drawn between the two; a single number in the YAML is both.
struct TokenRange {
  int64_t least = 0, most = 0;

  bool operator==(const TokenRange&) const = default;
};

struct TenantSpec {
  std::string name;
  double share = 1;  // of the arrivals, relative to the others'
  int priority = 0;
  TokenRange prompt_tokens, output_tokens;
};

struct LoadSpec {
  std::string arrivals = "poisson";  // "constant", "poisson", "gamma", "ramp", "trace"
  double rate = 1;                   // requests a second; of a trace: its own times are divided by rate_scale
  double rate_to = 0;                // ramp: at the end
  double burstiness = 1;             // gamma: variance of the gaps over a Poisson stream's
  absl::Duration duration = absl::Seconds(30);
  absl::Duration warmup;      // at the start, left out of the figures
  int64_t most_requests = 0;  // 0: as many as come
  uint64_t seed = 1;
  TokenRange prompt_tokens{64, 64}, output_tokens{32, 32};
  bool ignore_eos = true;
  double temperature = 0;
  int64_t shared_prefix_tokens = 0;  // of a system prompt that requests share
  int64_t prefixes = 1;              // how many such there are
  int turns = 1;                     // of a session
  absl::Duration think_time;         // between its turns
  std::vector<TenantSpec> tenants;   // empty: one, without a name
  double cancel_share = 0;           // of the requests, which the client cancels
  int64_t cancel_after_tokens = 4;
  std::string trace, trace_format;  // "mooncake", "azure", "sharegpt"
  double rate_scale = 1, length_scale = 1;
  absl::Duration timeout = absl::Seconds(120);  // of a request
};

}  // namespace baton::chaos
