#pragma once

// Names a reference by everything that its tokens follow from: two with equal keys are the same streams.

#include <string>

#include "absl/status/statusor.h"
#include "tools/chaos/local_plan.h"
#include "tools/chaos/scenario.h"
#include "tools/load/plan.h"

namespace baton::chaos {

// BLAKE2b-256 (RFC 7693), in hex. As the errors of reading, NOT_FOUND or UNAVAILABLE.
std::string DigestOf(absl::string_view text);
absl::StatusOr<std::string> DigestOfFile(const std::string& path);

// Of what runs it: the bytes of the model's file and of the engine's program, and the machine, whose
// instruction set chooses the kernels.
struct Origin {
  std::string model, program, machine;
};
absl::StatusOr<Origin> OriginOf(const Scenario& reference, const LocalPaths& paths);

// A digest, in hex, of the origin, the engine's flags, and each request as it is sent, with its seed, its
// sampling and the turn that it follows. When requests arrive and which are cancelled changes no token.
std::string ReferenceKey(const Origin& origin, const Scenario& reference, const load::LoadPlan& plan);

}  // namespace baton::chaos
