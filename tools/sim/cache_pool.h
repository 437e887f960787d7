#pragma once

// The pages of one simulated rank, and its prefix cache: blocks (one page each) that no sequence holds are
// kept until their page is wanted, the least recently used first. As engine/cache does it, by numbers only.

#include <cstdint>
#include <list>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"

namespace baton::simulator {

class CachePool {
 public:
  using Block = uint32_t;
  using Chain = absl::Span<const Block>;  // a prompt's blocks; of equal numbers all before are equal too

  // What a sequence holds: the first `shared` blocks of its chain, and pages of its own.
  struct Hold {
    uint32_t shared = 0;
    uint64_t own = 0;
  };
  struct Change {
    std::vector<Block> stored, evicted;
  };

  explicit CachePool(uint64_t pages) : total_(pages), free_(pages) {}

  uint32_t Cached(Chain chain) const;  // its first blocks that are here
  // Holds `pages` in all, of which no more than `most_shared` from the cache. False: there are not so many.
  bool Take(Chain chain, uint64_t pages, uint32_t most_shared, Hold* hold);
  bool Grow(Hold* hold);  // by a page
  // The chain's first `blocks` have been computed: others can share them from now on.
  void Publish(Chain chain, uint32_t blocks, Hold* hold);
  void Release(Chain chain, Hold* hold);

  uint64_t total() const { return total_; }
  uint64_t free() const { return free_; }
  uint64_t cached() const { return idle_.size(); }  // and held by none
  uint64_t used() const { return total_ - free_ - idle_.size(); }
  Change TakeChange();  // since the last call

 private:
  struct Entry {
    uint32_t held = 0;
    std::list<Block>::iterator idle;  // if held by none
  };
  bool Want(uint64_t pages);  // makes them free, if it can

  const uint64_t total_;
  uint64_t free_;
  absl::flat_hash_map<Block, Entry> blocks_;
  std::list<Block> idle_;  // the least recently used first
  absl::flat_hash_map<Block, bool> changed_;
};

}  // namespace baton::simulator
