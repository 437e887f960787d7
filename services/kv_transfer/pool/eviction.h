#pragma once

// Which block leaves next: S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all you need for cache
// eviction", SOSP 2023) on a prefix tree. A new block enters a small FIFO queue; if it is not used again
// before its turn it leaves, so that prompts seen once pass through a tenth of the room. Used again, or
// remembered as having left lately (a ghost), it is of the main queue, where each use buys another round. A
// block whose children are still there is passed over: leaves go first, since a child without its parent
// helps nobody. Not thread-safe.

#include <cstdint>
#include <deque>
#include <list>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "common/ids.h"

namespace baton::pool {

class EvictionQueue {
 public:
  // Of a tier that holds `capacity` blocks.
  explicit EvictionQueue(int64_t capacity);

  // A block that is not in the queue.
  void Insert(const BlockHash& key);
  void Hit(const BlockHash& key);
  // Gone for another reason than want of room.
  void Erase(const BlockHash& key);
  bool Contains(const BlockHash& key) const { return blocks_.contains(key); }
  bool Remembers(const BlockHash& key) const { return ghosts_.contains(key); }

  // Takes the next block for which `evictable` holds; nullopt if there is none.
  std::optional<BlockHash> Evict(absl::FunctionRef<bool(const BlockHash&)> evictable);

  int64_t size() const { return static_cast<int64_t>(blocks_.size()); }

 private:
  using Queue = std::list<BlockHash>;  // newest first
  struct Block {
    bool small = true;
    uint8_t uses = 0;
    Queue::iterator at;
  };

  std::optional<BlockHash> EvictSmall(absl::FunctionRef<bool(const BlockHash&)> evictable);
  std::optional<BlockHash> EvictMain(absl::FunctionRef<bool(const BlockHash&)> evictable);
  void Remember(const BlockHash& key);

  const int64_t small_target_, most_ghosts_;
  absl::flat_hash_map<BlockHash, Block> blocks_;
  Queue small_, main_;
  absl::flat_hash_map<BlockHash, uint64_t> ghosts_;  // when it left
  std::deque<std::pair<BlockHash, uint64_t>> ghost_order_;
  uint64_t departures_ = 0;
};

}  // namespace baton::pool
