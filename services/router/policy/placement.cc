#include "services/router/policy/placement.h"

#include <algorithm>

#include "services/router/policy/filter.h"

namespace baton::router {

uint64_t RankView::Streams() const {
  return std::max(own_streams, running + waiting + fresh_streams);
}
uint64_t RankView::Backlog() const {
  return std::max(own_tokens, backlog_tokens + fresh_tokens);
}

absl::StatusOr<Placement> PlaceLeastLoaded(const PlacementConfig& config, absl::Span<const RankView> ranks,
                                           const PlacementRequest& request) {
  return PlaceEach(
      config, ranks, request, [](uint32_t) { return 0u; },
      [ranks](WorkerRole role, absl::Span<const uint32_t> candidates) {
        return LeastLoaded(role, ranks, candidates);
      });
}

}  // namespace baton::router
