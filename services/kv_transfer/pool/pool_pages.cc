#include "services/kv_transfer/pool/pool_pages.h"

namespace baton::pool {

PoolPages::PoolPages(int64_t pages) : pages_(pages) {
  counts_[static_cast<size_t>(PageState::kFree)] = pages;
  for (PageId page = static_cast<PageId>(pages) - 1; page >= 0; --page) free_.push_back(page);
}

bool PoolPages::Move(PageId page, PageState from, PageState to) {
  if (page < 0 || page >= size() || pages_[page].state != from) {
    ++wrong_moves_;
    return false;
  }
  --counts_[static_cast<size_t>(from)];
  ++counts_[static_cast<size_t>(to)];
  pages_[page].state = to;
  return true;
}

std::optional<PageId> PoolPages::Take() {
  if (free_.empty()) return std::nullopt;
  const PageId page = free_.back();
  free_.pop_back();
  Move(page, PageState::kFree, PageState::kFilling);
  return page;
}

void PoolPages::Free(PageId page) {
  const PageState from = page >= 0 && page < size() ? pages_[page].state : PageState::kFree;
  if (from == PageState::kFree || from == PageState::kPinned) {
    ++wrong_moves_;
    return;
  }
  if (Move(page, from, PageState::kFree)) free_.push_back(page);
}

void PoolPages::Pin(PageId page) {
  const bool held = page >= 0 && page < size() && pages_[page].state == PageState::kPinned;
  if (held || Move(page, PageState::kCached, PageState::kPinned)) ++pages_[page].pins;
}

void PoolPages::Unpin(PageId page) {
  if (page < 0 || page >= size() || pages_[page].state != PageState::kPinned) {
    ++wrong_moves_;
    return;
  }
  if (--pages_[page].pins == 0) Move(page, PageState::kPinned, PageState::kCached);
}

}  // namespace baton::pool
