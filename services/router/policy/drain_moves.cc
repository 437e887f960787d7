#include "services/router/policy/drain_moves.h"

#include <algorithm>
#include <set>

namespace baton::router {
namespace {

const RankView* FindRank(absl::Span<const RankView> ranks, RankRef ref) {
  const auto it =
      std::find_if(ranks.begin(), ranks.end(), [&](const RankView& rank) { return rank.ref == ref; });
  return it == ranks.end() ? nullptr : &*it;
}

}  // namespace

std::vector<DrainMove> DrainMoves::Plan(absl::Span<const StreamAt> streams, absl::Span<const RankView> ranks,
                                        MonoTime now) {
  std::vector<DrainMove> moves;
  std::map<RankRef, uint64_t> coming;
  std::set<StreamId> seen;
  const auto target = [&](const RankView& from) -> const RankView* {
    const RankView* best = nullptr;
    for (const RankView& rank : ranks) {
      if (rank.role != WorkerRole::kDecode || !rank.healthy || rank.draining || rank.suspect) continue;
      if (rank.ref.worker == from.ref.worker || rank.fingerprint != from.fingerprint) continue;
      if (best == nullptr || rank.Streams() + coming[rank.ref] < best->Streams() + coming[best->ref])
        best = &rank;
    }
    return best;
  };
  for (const StreamAt& stream : streams) {
    const RankView* from = FindRank(ranks, stream.at);
    if (from == nullptr || !from->draining) continue;
    seen.insert(stream.id);
    if (!stream.movable) continue;
    Try& tried = tries_[stream.id];
    if (tried.moving || tried.failures >= config_.max_tries || now < tried.not_before) continue;
    if (moving_ >= config_.max_moving) continue;
    const RankView* to = target(*from);
    if (to == nullptr) continue;
    ++coming[to->ref];
    tried.moving = true;
    ++moving_;
    moves.push_back({stream.id, to->ref});
  }
  std::erase_if(tries_,
                [&](const auto& entry) { return !entry.second.moving && !seen.contains(entry.first); });
  return moves;
}

void DrainMoves::Ended(const StreamId& id, const absl::Status& status, MonoTime now) {
  const auto it = tries_.find(id);
  if (it == tries_.end() || !it->second.moving) return;
  it->second.moving = false;
  --moving_;
  if (status.ok()) {
    tries_.erase(it);
    return;
  }
  it->second.not_before = now + config_.pause * ++it->second.failures;
}

}  // namespace baton::router
