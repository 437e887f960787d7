#pragma once

// Who has each page of the memory tier. A page is in exactly one class:
//   free         nothing is known of its bytes
//   cached       holds a block that nobody uses at the moment
//   pinned       holds a block that readers' leases or a write to disk use
//   filling      bytes are on their way into it, by a handoff or from disk
//   quarantined  a read that was given up may still write it
// Wrong moves are refused and counted, never carried out. Not thread-safe.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/ids.h"

namespace baton::pool {

enum class PageState : uint8_t { kFree, kCached, kPinned, kFilling, kQuarantined };
inline constexpr size_t kPageStates = 5;
inline constexpr PageId kNoPage = -1;

class PoolPages {
 public:
  explicit PoolPages(int64_t pages);

  // A free page, now filling.
  std::optional<PageId> Take();
  void FilledWithBlock(PageId page) { Move(page, PageState::kFilling, PageState::kCached); }
  void Quarantine(PageId page) { Move(page, PageState::kFilling, PageState::kQuarantined); }
  // From cached, filling or quarantined.
  void Free(PageId page);
  void Pin(PageId page);
  void Unpin(PageId page);

  int64_t size() const { return static_cast<int64_t>(pages_.size()); }
  int64_t count(PageState state) const { return counts_[static_cast<size_t>(state)]; }
  PageState state(PageId page) const { return pages_[page].state; }
  uint32_t pins(PageId page) const { return pages_[page].pins; }
  uint64_t wrong_moves() const { return wrong_moves_; }

 private:
  struct Page {
    PageState state = PageState::kFree;
    uint32_t pins = 0;
  };
  bool Move(PageId page, PageState from, PageState to);

  std::vector<Page> pages_;
  std::vector<PageId> free_;
  std::array<int64_t, kPageStates> counts_{};
  uint64_t wrong_moves_ = 0;
};

}  // namespace baton::pool
