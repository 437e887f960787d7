#pragma once

// The first step of every policy: which ranks may take a request. Indices into the views.
//
// Of the ranks that may, only the best class is left: those that nothing speaks against, or else those that
// are suspect, were tried before or lack the pages now, in this order of weight.

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/router/policy/placement.h"

namespace baton::router {

// Never empty. Unavailable if no healthy, undrained decode rank is known; InvalidArgument if the request fits
// none of them.
absl::StatusOr<std::vector<uint32_t>> DecodeCandidates(absl::Span<const RankView> ranks,
                                                       const PlacementRequest& request);
// Prefill ranks whose KV `decode` takes: those of an equal fingerprint, or, if there is none, those of
// another, of the same model, where both accept that. May be empty.
std::vector<uint32_t> PrefillCandidates(absl::Span<const RankView> ranks, const PlacementRequest& request,
                                        const RankView& decode);

// Decode first, then prefill, each by `pick`, which takes one of the candidates (never none) for a role.
// Without a prefill rank if what the decode rank does not hold (`held`, by index) is shorter than
// config.direct_below_tokens, or if none is left.
using PickRank = absl::FunctionRef<uint32_t(WorkerRole, absl::Span<const uint32_t> candidates)>;
using HeldTokens = absl::FunctionRef<uint32_t(uint32_t rank)>;
absl::StatusOr<Placement> PlaceEach(const PlacementConfig& config, absl::Span<const RankView> ranks,
                                    const PlacementRequest& request, HeldTokens held, PickRank pick);

// The order of least load: of decode ranks by sequences, of prefill ranks by tokens not yet computed. What
// this router has placed counts at once, before any worker has reported it. Ties: more free pages, then
// placed on least often, then the lower reference; so equal views give equal answers.
bool LessLoaded(WorkerRole role, const RankView& a, const RankView& b);
uint32_t LeastLoaded(WorkerRole role, absl::Span<const RankView> ranks,
                     absl::Span<const uint32_t> candidates);

}  // namespace baton::router
