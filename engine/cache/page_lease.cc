#include "engine/cache/page_lease.h"

#include <utility>

namespace baton {

PageLease::PageLease(PageLease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      hold_(other.hold_),
      pages_(std::exchange(other.pages_, {})) {}

PageLease& PageLease::operator=(PageLease&& other) noexcept {
  if (this == &other) return *this;
  Reset();
  pool_ = std::exchange(other.pool_, nullptr);
  hold_ = other.hold_;
  pages_ = std::exchange(other.pages_, {});
  return *this;
}

PageLease PageLease::TakeFree(PagePool* pool, int64_t count, PageHold hold) {
  PageLease lease(pool, hold);
  lease.pages_.reserve(count);
  for (int64_t i = 0; i < count; ++i) lease.pages_.push_back(pool->Take(hold));
  return lease;
}

PageLease PageLease::Share(PagePool* pool, absl::Span<const PageId> pages, PageHold hold) {
  PageLease lease(pool, hold);
  lease.pages_.assign(pages.begin(), pages.end());
  for (PageId page : pages) pool->Hold(page, hold);
  return lease;
}

void PageLease::Reset() {
  // Last page first, so that the free list hands a sequence's pages out again in their old order.
  for (size_t i = pages_.size(); i-- > 0;) pool_->Drop(pages_[i], hold_);
  pages_.clear();
}

void PageLease::Append(PageLease tail) {
  if (tail.empty()) return;
  if (empty()) {
    *this = std::move(tail);
    return;
  }
  for (PageId page : tail.pages_) pool_->Change(page, tail.hold_, hold_);
  pages_.insert(pages_.end(), tail.pages_.begin(), tail.pages_.end());
  tail.pages_.clear();
}

void PageLease::Convert(PageHold hold) {
  for (PageId page : pages_) pool_->Change(page, hold_, hold);
  hold_ = hold;
}

void PageLease::Replace(int64_t index, PageId page) {
  pool_->Hold(page, hold_);
  pool_->Drop(std::exchange(pages_[index], page), hold_);
}

}  // namespace baton
