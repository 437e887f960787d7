#include "benchmarks/router_index/naive_index.h"

#include <algorithm>
#include <iterator>

namespace baton::router {

void NaiveIndex::Stored(uint32_t rank, absl::Span<const BlockHash> blocks) {
  for (const BlockHash& block : blocks) {
    std::vector<uint32_t>& holders = holders_[block];
    const auto at = std::lower_bound(holders.begin(), holders.end(), rank);
    if (at == holders.end() || *at != rank) holders.insert(at, rank);
  }
}

void NaiveIndex::Match(absl::Span<const BlockHash> chain, absl::Span<uint32_t> leading) const {
  std::fill(leading.begin(), leading.end(), 0);
  std::vector<uint32_t> alive, next;
  for (size_t i = 0; i < chain.size(); ++i) {
    const auto it = holders_.find(chain[i]);
    if (it == holders_.end()) return;
    if (i == 0) {
      next = it->second;
    } else {
      next.clear();
      std::set_intersection(alive.begin(), alive.end(), it->second.begin(), it->second.end(),
                            std::back_inserter(next));
    }
    alive.swap(next);
    if (alive.empty()) return;
    for (const uint32_t rank : alive) leading[rank] = static_cast<uint32_t>(i + 1);
  }
}

}  // namespace baton::router
