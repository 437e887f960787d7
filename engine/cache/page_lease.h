#pragma once

// A move-only handle of pages, in order, all held one way; dropping it gives them back. Not thread-safe.

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "engine/cache/page_pool.h"

namespace baton {

class PageLease {
 public:
  PageLease() = default;  // empty, of no pool
  PageLease(PageLease&& other) noexcept;
  PageLease& operator=(PageLease&& other) noexcept;
  ~PageLease() { Reset(); }

  // `count` free pages, newly held; the pool has that many.
  static PageLease TakeFree(PagePool* pool, int64_t count, PageHold hold);
  // One more hold on pages that others hold or the index names. `hold` is kUse or kPin.
  static PageLease Share(PagePool* pool, absl::Span<const PageId> pages, PageHold hold);

  absl::Span<const PageId> pages() const { return pages_; }
  int64_t size() const { return static_cast<int64_t>(pages_.size()); }
  bool empty() const { return pages_.empty(); }
  PageHold hold() const { return hold_; }

  // Gives all pages back.
  void Reset();
  // Takes over the pages of `tail`, which holds them the same way, behind its own.
  void Append(PageLease tail);
  // Holds all pages another way, none becoming idle in between. To kQuarantine only from kPull; never to
  // kPull.
  void Convert(PageHold hold);
  // Uses `page`, which is held or indexed, in place of the page at `index`, which is given back.
  void Replace(int64_t index, PageId page);

 private:
  PageLease(PagePool* pool, PageHold hold) : pool_(pool), hold_(hold) {}

  PagePool* pool_ = nullptr;
  PageHold hold_ = PageHold::kUse;
  std::vector<PageId> pages_;
};

}  // namespace baton
