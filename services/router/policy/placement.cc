#include "services/router/policy/placement.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace baton::router {
namespace {

bool Open(const RankView& rank, WorkerRole role) {
  return rank.role == role && rank.healthy && !rank.draining;
}

bool Avoided(const RankView& rank, const PlacementRequest& request) {
  return std::find(request.avoid.begin(), request.avoid.end(), rank.ref) != request.avoid.end();
}

bool EverFits(const RankView& rank, const PlacementRequest& request) {
  if (rank.max_context != 0 && request.prompt_tokens >= rank.max_context) return false;
  if (rank.page_tokens == 0 || rank.total_pages == 0) return true;
  return request.prompt_tokens < rank.page_tokens * rank.total_pages;
}

bool FitsNow(const RankView& rank, const PlacementRequest& request) {
  if (rank.page_tokens == 0 || rank.total_pages == 0) return true;
  return request.prompt_tokens < rank.page_tokens * rank.free_pages;
}

// Lower is better.
auto DecodeCost(const RankView& rank, const PlacementRequest& request) {
  return std::make_tuple(rank.suspect, Avoided(rank, request), !FitsNow(rank, request), rank.Streams(),
                         rank.Backlog(), ~rank.free_pages, rank.placed, rank.ref);
}

bool Differ(const RankView& prefill, const RankView& decode) {
  return prefill.fingerprint != decode.fingerprint;
}

bool MayDiffer(const RankView& prefill, const RankView& decode) {
  return prefill.accepts_inexact && decode.accepts_inexact && !prefill.model_id.empty() &&
         prefill.model_id == decode.model_id;
}

auto PrefillCost(const RankView& rank, const RankView& decode, const PlacementRequest& request) {
  return std::make_tuple(Differ(rank, decode), rank.suspect, Avoided(rank, request), rank.Backlog(),
                         rank.Streams(), ~rank.free_pages, rank.placed, rank.ref);
}

const RankView* PickPrefill(absl::Span<const RankView> ranks, const PlacementRequest& request,
                            const RankView& decode) {
  const RankView* best = nullptr;
  for (const RankView& rank : ranks) {
    if (!Open(rank, WorkerRole::kPrefill) || !EverFits(rank, request)) continue;
    if (Differ(rank, decode) && !MayDiffer(rank, decode)) continue;
    if (best == nullptr || PrefillCost(rank, decode, request) < PrefillCost(*best, decode, request))
      best = &rank;
  }
  return best;
}

}  // namespace

uint64_t RankView::Streams() const {
  return std::max(own_streams, running + waiting + fresh_streams);
}
uint64_t RankView::Backlog() const {
  return std::max(own_tokens, backlog_tokens + fresh_tokens);
}

absl::StatusOr<Placement> PlaceLeastLoaded(const PlacementConfig& config, absl::Span<const RankView> ranks,
                                           const PlacementRequest& request) {
  const RankView* decode = nullptr;
  bool any_open = false;
  for (const RankView& rank : ranks) {
    if (!Open(rank, WorkerRole::kDecode)) continue;
    any_open = true;
    if (!EverFits(rank, request)) continue;
    if (decode == nullptr || DecodeCost(rank, request) < DecodeCost(*decode, request)) decode = &rank;
  }
  if (!any_open) {
    return absl::UnavailableError(
        absl::StrCat("no decode worker is available (", ranks.size(),
                     " ranks known, none that is healthy, not draining and decodes)"));
  }
  if (decode == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("a prompt of ", request.prompt_tokens,
                                                   " tokens fits no decode rank's context or page pool"));
  }
  Placement placement{.decode = decode->ref, .prefill = std::nullopt};
  const uint32_t uncached = request.prompt_tokens - std::min(request.prompt_tokens, request.cached_tokens);
  if (uncached < config.direct_below_tokens) return placement;
  if (const RankView* prefill = PickPrefill(ranks, request, *decode)) {
    placement.prefill = prefill->ref;
    placement.inexact = Differ(*prefill, *decode);
  }
  return placement;
}

}  // namespace baton::router
