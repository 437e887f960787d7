#pragma once

// A rank's pages and what is known of their contents: allocation that evicts cached prefixes as it must. Not
// thread-safe.

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "engine/cache/page_lease.h"
#include "engine/cache/page_pool.h"
#include "engine/cache/prefix_index.h"

namespace baton {

class PageCache {
 public:
  // With `prefix_cache` false nothing is ever found or indexed.
  PageCache(int64_t pages, bool prefix_cache) : pool_(pages), index_(&pool_), enabled_(prefix_cache) {}

  const PagePool& pool() const { return pool_; }
  // Pages that Allocate can give: free and cached ones.
  int64_t available() const { return pool_.count(PageClass::kFree) + pool_.count(PageClass::kCached); }

  // `count` pages, all or none; least recently used cached prefixes are evicted as needed. `hold`: kUse or
  // kPull.
  std::optional<PageLease> Allocate(int64_t count, PageHold hold);

  // Holds the pages of the longest known run of `hashes`. `hold`: kUse or kPin.
  PageLease Match(absl::Span<const BlockHash> hashes, PageHold hold);
  // What Match would find: blocks, and how many of their pages are held already, so that using them takes
  // nothing from available().
  struct Found {
    int64_t blocks = 0;
    int64_t held = 0;
  };
  Found Peek(absl::Span<const BlockHash> hashes) const;

  // Names lease's page `hashes.size() - 1`, full and computed, as the block hashes.back(); the blocks before
  // it are named and are the lease's own pages. If another page bears that name already: with `may_replace`,
  // the lease takes that page over its own (the bytes are equal) and true is returned; otherwise false, and
  // the lease must index no further block.
  bool Index(absl::Span<const BlockHash> hashes, PageLease* lease, bool may_replace);
  // The run was in use until now.
  void Touch(absl::Span<const BlockHash> hashes) { index_.Touch(hashes); }

  // What came into the prefix cache and left it since the last call, in order.
  std::vector<BlockChange> TakeChanges() { return index_.TakeChanges(); }

  // The books of pool and index, and that every cached page could be evicted.
  absl::Status CheckIntegrity() const;

 private:
  PagePool pool_;
  PrefixIndex index_;
  bool enabled_;
};

}  // namespace baton
