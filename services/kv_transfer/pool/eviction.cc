#include "services/kv_transfer/pool/eviction.h"

#include <algorithm>

namespace baton::pool {
namespace {

constexpr uint8_t kMostUses = 3;

}  // namespace

EvictionQueue::EvictionQueue(int64_t capacity)
    : small_target_(std::max<int64_t>(1, capacity / 10)), most_ghosts_(std::max<int64_t>(1, capacity)) {}

void EvictionQueue::Insert(const BlockHash& key) {
  const bool back = ghosts_.erase(key) > 0;
  Queue& queue = back ? main_ : small_;
  queue.push_front(key);
  blocks_[key] = {.small = !back, .uses = 0, .at = queue.begin()};
}

void EvictionQueue::Hit(const BlockHash& key) {
  const auto it = blocks_.find(key);
  if (it != blocks_.end() && it->second.uses < kMostUses) ++it->second.uses;
}

void EvictionQueue::Erase(const BlockHash& key) {
  const auto it = blocks_.find(key);
  if (it == blocks_.end()) return;
  (it->second.small ? small_ : main_).erase(it->second.at);
  blocks_.erase(it);
}

std::optional<BlockHash> EvictionQueue::Evict(absl::FunctionRef<bool(const BlockHash&)> evictable) {
  if (static_cast<int64_t>(small_.size()) > small_target_ || main_.empty()) {
    if (const auto victim = EvictSmall(evictable)) return victim;
    return EvictMain(evictable);
  }
  if (const auto victim = EvictMain(evictable)) return victim;
  return EvictSmall(evictable);
}

std::optional<BlockHash> EvictionQueue::EvictSmall(absl::FunctionRef<bool(const BlockHash&)> evictable) {
  for (size_t left = small_.size(); left > 0; --left) {
    const auto oldest = std::prev(small_.end());
    const BlockHash key = *oldest;
    Block& block = blocks_.at(key);
    if (block.uses > 0) {
      main_.splice(main_.begin(), small_, oldest);
      block.small = false;
      block.uses = 0;
    } else if (!evictable(key)) {
      small_.splice(small_.begin(), small_, oldest);
    } else {
      small_.erase(oldest);
      blocks_.erase(key);
      Remember(key);
      return key;
    }
  }
  return std::nullopt;
}

// Every use is worth one round, so that many rounds find a victim if there is one.
std::optional<BlockHash> EvictionQueue::EvictMain(absl::FunctionRef<bool(const BlockHash&)> evictable) {
  for (size_t left = main_.size() * (kMostUses + 1); left > 0; --left) {
    const auto oldest = std::prev(main_.end());
    const BlockHash key = *oldest;
    Block& block = blocks_.at(key);
    if (block.uses == 0 && evictable(key)) {
      main_.erase(oldest);
      blocks_.erase(key);
      return key;
    }
    if (block.uses > 0) --block.uses;
    main_.splice(main_.begin(), main_, oldest);
  }
  return std::nullopt;
}

void EvictionQueue::Remember(const BlockHash& key) {
  ghosts_[key] = ++departures_;
  ghost_order_.emplace_back(key, departures_);
  while (static_cast<int64_t>(ghost_order_.size()) > most_ghosts_) {
    const auto [oldest, when] = ghost_order_.front();
    ghost_order_.pop_front();
    const auto it = ghosts_.find(oldest);
    if (it != ghosts_.end() && it->second == when) ghosts_.erase(it);
  }
}

}  // namespace baton::pool
