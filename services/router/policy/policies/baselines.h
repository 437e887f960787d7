#pragma once

// The policies that others use, to compare with and to choose:
//
//   round_robin    each rank in turn
//   least_tokens   decode to the fewest sequences, prefill to the fewest tokens not yet computed
//   power_of_two   of two at random the less loaded, as least_tokens sees it
//   cache_aware    SGLang's gateway: if the most loaded rank has more than `abs` streams and more than `rel`
//                  times as many as the least loaded one, the least loaded; otherwise the one that holds the
//                  most of the prompt if that is more than `threshold` of it, or else the one that holds the
//                  fewest blocks
//   vllm_dplb      vLLM's balancer of engines. form=classic: 4 * waiting + running. form=usage:
//                  max(clients * own streams, waiting + running) + 6 * waiting * max(0, KV usage - 0.5)
//   kv_cost        Dynamo's KV router, in blocks: overlap_weight * max(prompt being computed + this prompt -
//                  what is held of it, 0) + blocks in use + new ones; with a temperature, drawn with a chance
//                  of softmax(-cost / (highest - lowest) / temperature)
//
// What this router placed counts at once in all of them (RankView's own and fresh counts).

#include <memory>

#include "absl/status/statusor.h"
#include "services/router/policy/policy.h"
#include "services/router/policy/policy_spec.h"

namespace baton::router {

// Nullptr if `spec` names none of these. InvalidArgument if its parameters are wrong.
absl::StatusOr<std::unique_ptr<Policy>> MakeBaseline(const PolicySpec& spec, PlacementConfig config);

}  // namespace baton::router
