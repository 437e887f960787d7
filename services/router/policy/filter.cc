#include "services/router/policy/filter.h"

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

bool Fits(const RankView& rank, const PlacementRequest& request, uint64_t pages) {
  if (rank.page_tokens == 0 || rank.total_pages == 0) return true;
  return request.prompt_tokens < rank.page_tokens * pages;
}

bool EverFits(const RankView& rank, const PlacementRequest& request) {
  if (rank.max_context != 0 && request.prompt_tokens >= rank.max_context) return false;
  return Fits(rank, request, rank.total_pages);
}

bool Differ(const RankView& prefill, const RankView& decode) {
  return prefill.fingerprint != decode.fingerprint;
}

bool MayDiffer(const RankView& prefill, const RankView& decode) {
  return prefill.accepts_inexact && decode.accepts_inexact && !prefill.model_id.empty() &&
         prefill.model_id == decode.model_id;
}

// What remains are the ranks of the lowest objection.
class BestClass {
 public:
  void Add(uint32_t rank, int objection) {
    if (objection > least_) return;
    if (objection < least_) ranks_.clear();
    least_ = objection;
    ranks_.push_back(rank);
  }
  std::vector<uint32_t> Take() { return std::move(ranks_); }

 private:
  int least_ = 16;
  std::vector<uint32_t> ranks_;
};

}  // namespace

absl::StatusOr<std::vector<uint32_t>> DecodeCandidates(absl::Span<const RankView> ranks,
                                                       const PlacementRequest& request) {
  BestClass best;
  bool any_open = false;
  for (uint32_t i = 0; i < ranks.size(); ++i) {
    const RankView& rank = ranks[i];
    if (!Open(rank, WorkerRole::kDecode)) continue;
    if (!request.fingerprint.empty() && rank.fingerprint != request.fingerprint) continue;
    any_open = true;
    if (!EverFits(rank, request)) continue;
    best.Add(i, rank.suspect * 4 + Avoided(rank, request) * 2 + !Fits(rank, request, rank.free_pages));
  }
  if (!any_open) {
    return absl::UnavailableError(absl::StrCat("no decode worker is available (", ranks.size(),
                                               " ranks known, none that is healthy, not draining and decodes",
                                               request.fingerprint.empty() ? "" : " to the same numbers",
                                               ")"));
  }
  std::vector<uint32_t> candidates = best.Take();
  if (candidates.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("a prompt of ", request.prompt_tokens,
                                                   " tokens fits no decode rank's context or page pool"));
  }
  return candidates;
}

std::vector<uint32_t> PrefillCandidates(absl::Span<const RankView> ranks, const PlacementRequest& request,
                                        const RankView& decode) {
  BestClass best;
  for (uint32_t i = 0; i < ranks.size(); ++i) {
    const RankView& rank = ranks[i];
    if (!Open(rank, WorkerRole::kPrefill) || rank.suspect || !EverFits(rank, request)) continue;
    const bool differ = Differ(rank, decode);
    if (differ && (!request.fingerprint.empty() || !MayDiffer(rank, decode))) continue;
    best.Add(i, differ * 2 + Avoided(rank, request));
  }
  return best.Take();
}

absl::StatusOr<Placement> PlaceEach(const PlacementConfig& config, absl::Span<const RankView> ranks,
                                    const PlacementRequest& request, HeldTokens held, PickRank pick) {
  const absl::StatusOr<std::vector<uint32_t>> decodes = DecodeCandidates(ranks, request);
  if (!decodes.ok()) return decodes.status();
  const uint32_t decode = pick(WorkerRole::kDecode, *decodes);
  Placement placement{.decode = ranks[decode].ref, .prefill = std::nullopt};
  placement.reasons.held_tokens = held(decode);
  for (const uint32_t rank : *decodes)
    placement.reasons.best_held_tokens = std::max(placement.reasons.best_held_tokens, held(rank));
  const uint32_t known = std::max(request.cached_tokens, placement.reasons.held_tokens);
  if (request.prompt_tokens - std::min(request.prompt_tokens, known) < config.direct_below_tokens)
    return placement;
  const std::vector<uint32_t> prefills = PrefillCandidates(ranks, request, ranks[decode]);
  if (prefills.empty()) return placement;
  const uint32_t prefill = pick(WorkerRole::kPrefill, prefills);
  placement.prefill = ranks[prefill].ref;
  placement.inexact = Differ(ranks[prefill], ranks[decode]);
  placement.reasons.held_tokens = held(prefill);
  for (const uint32_t rank : prefills)
    placement.reasons.best_held_tokens = std::max(placement.reasons.best_held_tokens, held(rank));
  return placement;
}

bool LessLoaded(WorkerRole role, const RankView& a, const RankView& b) {
  const auto cost = [role](const RankView& rank) {
    const uint64_t streams = rank.Streams(), tokens = rank.Backlog();
    const bool decode = role == WorkerRole::kDecode;
    return std::make_tuple(decode ? streams : tokens, decode ? tokens : streams, ~rank.free_pages,
                           rank.placed, rank.ref);
  };
  return cost(a) < cost(b);
}

uint32_t LeastLoaded(WorkerRole role, absl::Span<const RankView> ranks,
                     absl::Span<const uint32_t> candidates) {
  return *std::min_element(candidates.begin(), candidates.end(),
                           [&](uint32_t a, uint32_t b) { return LessLoaded(role, ranks[a], ranks[b]); });
}

}  // namespace baton::router
