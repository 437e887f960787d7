#include "tools/sim/cache_pool.h"

#include <algorithm>

namespace baton::simulator {

uint32_t CachePool::Cached(Chain chain) const {
  uint32_t count = 0;
  while (count < chain.size() && blocks_.contains(chain[count])) ++count;
  return count;
}

bool CachePool::Want(uint64_t pages) {
  if (free_ + idle_.size() < pages) return false;
  while (free_ < pages) {
    const Block block = idle_.front();
    idle_.pop_front();
    blocks_.erase(block);
    // Stored and evicted between two reports: nothing to tell.
    if (const auto it = changed_.find(block); it != changed_.end() && it->second) {
      changed_.erase(it);
    } else {
      changed_[block] = false;
    }
    ++free_;
  }
  return true;
}

bool CachePool::Take(Chain chain, uint64_t pages, uint32_t most_shared, Hold* hold) {
  const uint32_t shared = std::min({Cached(chain), most_shared, uint32_t(pages)});
  for (uint32_t i = 0; i < shared; ++i) {
    Entry& entry = blocks_[chain[i]];
    if (entry.held++ == 0) idle_.erase(entry.idle);
  }
  *hold = {.shared = shared, .own = 0};
  if (!Want(pages - shared)) {
    Release(chain, hold);
    return false;
  }
  hold->own = pages - shared;
  free_ -= hold->own;
  return true;
}

bool CachePool::Grow(Hold* hold) {
  if (!Want(1)) return false;
  --free_;
  ++hold->own;
  return true;
}

void CachePool::Publish(Chain chain, uint32_t blocks, Hold* hold) {
  for (; hold->shared < std::min<size_t>(blocks, chain.size()); ++hold->shared) {
    const auto [it, is_new] = blocks_.try_emplace(chain[hold->shared]);
    --hold->own;
    if (!is_new) {  // another has computed it meanwhile
      ++free_;
      if (it->second.held == 0) idle_.erase(it->second.idle);
    } else if (const auto change = changed_.find(it->first); change != changed_.end()) {
      changed_.erase(change);
    } else {
      changed_[it->first] = true;
    }
    ++it->second.held;
  }
}

void CachePool::Release(Chain chain, Hold* hold) {
  // The last blocks are the first to go: they are of no use without those before.
  for (uint32_t i = hold->shared; i-- > 0;) {
    Entry& entry = blocks_[chain[i]];
    if (--entry.held == 0) entry.idle = idle_.insert(idle_.end(), chain[i]);
  }
  free_ += hold->own;
  *hold = {};
}

CachePool::Change CachePool::TakeChange() {
  Change change;
  for (const auto& [block, stored] : changed_) (stored ? change.stored : change.evicted).push_back(block);
  std::sort(change.stored.begin(), change.stored.end());
  std::sort(change.evicted.begin(), change.evicted.end());
  changed_.clear();
  return change;
}

}  // namespace baton::simulator
