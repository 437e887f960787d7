#include "services/router/policy/policies/picking.h"

namespace baton::router {

absl::StatusOr<Placement> PickingPolicy::Place(const PolicyInput& input, PolicyRandom& random) {
  double decode_score = 0, prefill_score = 0;
  absl::StatusOr<Placement> placement = PlaceEach(
      config_, input.ranks, input.request, [&input](uint32_t rank) { return input.Held(rank); },
      [&](WorkerRole role, absl::Span<const uint32_t> candidates) {
        double* score = role == WorkerRole::kDecode ? &decode_score : &prefill_score;
        return pick_(role, input, candidates, random, score);
      });
  if (!placement.ok()) return placement;
  placement->reasons.decode_score = decode_score;
  placement->reasons.prefill_score = prefill_score;
  return placement;
}

uint32_t LowestScore(WorkerRole role, const PolicyInput& input, absl::Span<const uint32_t> candidates,
                     absl::FunctionRef<double(uint32_t rank)> score_of, double* score) {
  uint32_t best = candidates.front();
  *score = score_of(best);
  for (const uint32_t rank : candidates.subspan(1)) {
    const double one = score_of(rank);
    if (one > *score) continue;
    if (one == *score && !LessLoaded(role, input.ranks[rank], input.ranks[best])) continue;
    best = rank;
    *score = one;
  }
  return best;
}

}  // namespace baton::router
