#pragma once

// Every placement policy by its name.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/router/policy/policy.h"

namespace baton::router {

// The policy that `text` (policy_spec.h) describes. `config` holds what every policy takes and any may be
// told otherwise: direct=TOKENS for direct_below_tokens. InvalidArgument, naming what there is.
absl::StatusOr<std::unique_ptr<Policy>> MakePolicy(absl::string_view text, const PlacementConfig& config);

inline constexpr char kDefaultPolicy[] = "least_tokens";
std::vector<std::string> PolicyNames();

}  // namespace baton::router
