#include "services/router/policy/assumed_prefixes.h"

#include <algorithm>

namespace baton::router {

std::optional<AssumedPrefixes::Holder> AssumedPrefixes::AddHolder(const Limits& limits) {
  const std::optional<Holder> holder = index_.AddHolder();
  if (holder) ranks_[*holder].limits = limits;
  return holder;
}

void AssumedPrefixes::Retire(Holder holder) {
  index_.Retire(holder);
  ranks_.erase(holder);
}

void AssumedPrefixes::Placed(Holder holder, absl::Span<const BlockHash> chain, MonoTime now) {
  Rank& rank = ranks_.at(holder);
  chain = chain.first(std::min(chain.size(), rank.limits.blocks));
  // Backwards, so that a prefix outlives what follows it.
  for (size_t i = chain.size(); i > 0; --i) {
    const uint64_t number = ++rank.placings;
    rank.order.push_back({chain[i - 1], number, now});
    rank.last[chain[i - 1]] = number;
  }
  index_.Stored(holder, chain);
  // The order holds no more than twice what is held.
  while (rank.last.size() > rank.limits.blocks || rank.order.size() > 2 * rank.limits.blocks)
    Forget(holder, &rank);
}

void AssumedPrefixes::Expire(MonoTime now) {
  for (auto& [holder, rank] : ranks_) {
    while (!rank.order.empty() && now - rank.order.front().at > rank.limits.lifetime) Forget(holder, &rank);
  }
}

void AssumedPrefixes::Forget(Holder holder, Rank* rank) {
  const Placing oldest = rank->order.front();
  rank->order.pop_front();
  const auto last = rank->last.find(oldest.block);
  if (last == rank->last.end() || last->second != oldest.number) return;
  rank->last.erase(last);
  index_.Evicted(holder, {oldest.block});
}

}  // namespace baton::router
