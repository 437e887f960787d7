#pragma once

// Which page holds which prefix block, by the block's chain hash (common/block_hash.h: 128-bit keyed BLAKE2b,
// so an equal hash is an equal prefix). Only full, computed pages are named. A tree: a block's parent is the
// block before it. Eviction takes the least recently used leaf that nobody holds. Not thread-safe.
//
// Invariant kept by the callers: whoever holds a block's page holds the pages of all its ancestors too, so
// every page of class `cached` can be evicted, leaves first.

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/block_hash.h"
#include "common/ids.h"
#include "engine/cache/page_pool.h"

namespace baton {

class PrefixIndex {
 public:
  explicit PrefixIndex(PagePool* pool) : pool_(pool) {}
  ~PrefixIndex();  // forgets all blocks
  PrefixIndex(const PrefixIndex&) = delete;
  PrefixIndex& operator=(const PrefixIndex&) = delete;

  // Pages of the longest known run hashes[0], hashes[1], ...
  std::vector<PageId> Find(absl::Span<const BlockHash> hashes) const;
  // Names `page`, which is in use, as block `hash` behind `parent` (nullptr: the first block; otherwise
  // known). If the hash is known already the index keeps the page it has. Returns the page that the index
  // names.
  PageId Insert(const BlockHash& hash, const BlockHash* parent, PageId page);
  // Marks blocks as used now; to be called with whole runs from the first block on.
  void Touch(absl::Span<const BlockHash> hashes);
  // Forgets the least recently used leaf block with an idle page, which becomes free; false if there is none.
  bool EvictOne();

  // What was named and forgotten since the last call, in order.
  std::vector<BlockChange> TakeChanges() { return std::exchange(changes_, {}); }

  int64_t size() const { return static_cast<int64_t>(blocks_.size()); }
  absl::Status CheckIntegrity() const;

 private:
  struct Block {
    PageId page = 0;
    bool has_parent = false;
    BlockHash parent;
    uint32_t children = 0;
    uint64_t used_at = 0;
  };
  using LeafKey = std::pair<uint64_t, BlockHash>;  // when last used, which

  absl::flat_hash_map<BlockHash, Block> blocks_;
  absl::btree_set<LeafKey> leaves_;
  std::vector<BlockChange> changes_;
  PagePool* pool_;
  uint64_t tick_ = 0;
};

}  // namespace baton
