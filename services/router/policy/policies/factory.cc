#include "services/router/policy/policies/factory.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/router/policy/policies/baselines.h"
#include "services/router/policy/policies/slo.h"
#include "services/router/policy/policy_spec.h"

namespace baton::router {

absl::StatusOr<std::unique_ptr<Policy>> MakePolicy(absl::string_view text, const PlacementConfig& config) {
  const absl::StatusOr<PolicySpec> spec = ParsePolicySpec(text);
  if (!spec.ok()) return spec.status();
  absl::StatusOr<std::unique_ptr<Policy>> policy = MakeBaseline(*spec, config);
  if (policy.ok() && *policy == nullptr) policy = MakeSlo(*spec, config);
  if (!policy.ok() || *policy != nullptr) return policy;
  return absl::InvalidArgumentError(
      absl::StrCat("there is no policy '", spec->name, "'; there are ", absl::StrJoin(PolicyNames(), ", ")));
}

std::vector<std::string> PolicyNames() {
  return {"round_robin", "least_tokens", "power_of_two", "cache_aware", "vllm_dplb", "kv_cost", "slo"};
}

}  // namespace baton::router
