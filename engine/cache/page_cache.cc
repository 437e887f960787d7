#include "engine/cache/page_cache.h"

#include "common/status_macros.h"

namespace baton {

std::optional<PageLease> PageCache::Allocate(int64_t count, PageHold hold) {
  if (count > available()) return std::nullopt;
  while (pool_.count(PageClass::kFree) < count) {
    if (!index_.EvictOne()) return std::nullopt;
  }
  return PageLease::TakeFree(&pool_, count, hold);
}

PageLease PageCache::Match(absl::Span<const BlockHash> hashes, PageHold hold) {
  if (!enabled_) return PageLease::Share(&pool_, {}, hold);
  PageLease lease = PageLease::Share(&pool_, index_.Find(hashes), hold);
  index_.Touch(hashes.first(lease.size()));
  return lease;
}

PageCache::Found PageCache::Peek(absl::Span<const BlockHash> hashes) const {
  Found found;
  if (!enabled_) return found;
  for (PageId page : index_.Find(hashes)) {
    ++found.blocks;
    if (!pool_.idle(page)) ++found.held;
  }
  return found;
}

bool PageCache::Index(absl::Span<const BlockHash> hashes, PageLease* lease, bool may_replace) {
  if (!enabled_) return false;
  const int64_t block = static_cast<int64_t>(hashes.size()) - 1;
  const BlockHash* parent = block > 0 ? &hashes[block - 1] : nullptr;
  const PageId own = lease->pages()[block];
  const PageId named = index_.Insert(hashes[block], parent, own);
  if (named == own) return true;
  if (!may_replace) return false;
  lease->Replace(block, named);
  return true;
}

absl::Status PageCache::CheckIntegrity() const {
  BATON_RETURN_IF_ERROR(pool_.CheckIntegrity());
  return index_.CheckIntegrity();
}

}  // namespace baton
