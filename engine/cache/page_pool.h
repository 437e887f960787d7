#pragma once

// Who holds each page of a rank's pool. Ids only: never device memory. Not thread-safe.
//
// A page is in exactly one class (DESIGN section 5):
//   free         nobody holds it and nothing is known of its bytes
//   used         one or more sequences hold it (readers may too)
//   pinned       only readers' leases hold it
//   pulling      reserved for bytes that a handoff is reading; exclusive
//   quarantined  a read that was given up may still write it; exclusive
//   cached       nobody holds it, but the prefix index names its bytes
// Holders are PageLease objects (page_lease.h); the index is told of by SetIndexed.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/ids.h"

namespace baton {

enum class PageClass : uint8_t { kFree, kUsed, kCached, kPinned, kPulling, kQuarantined };
inline constexpr int kPageClasses = 6;

// How a lease holds its pages. kUse and kPin are counted and may be shared; kPull and kQuarantine are
// exclusive.
enum class PageHold : uint8_t { kUse, kPin, kPull, kQuarantine };

class PagePool {
 public:
  explicit PagePool(int64_t pages);
  // Proves that all pages came back: aborts with a message if any is still held or indexed.
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  int64_t size() const { return static_cast<int64_t>(pages_.size()); }
  int64_t count(PageClass page_class) const { return counts_[static_cast<int>(page_class)]; }
  PageClass class_of(PageId page) const;
  bool indexed(PageId page) const { return pages_[page].indexed; }
  uint32_t uses(PageId page) const { return pages_[page].uses; }
  uint32_t pins(PageId page) const { return pages_[page].pins; }
  // Held by neither sequence nor reader nor handoff.
  bool idle(PageId page) const;

  // Whether the books agree with themselves.
  absl::Status CheckIntegrity() const;

 private:
  friend class PageLease;
  friend class PrefixIndex;

  struct Page {
    uint32_t uses = 0;
    uint32_t pins = 0;
    bool pulling = false;
    bool quarantined = false;
    bool indexed = false;
  };

  // A free page, now held; count(kFree) > 0.
  PageId Take(PageHold hold);
  void Hold(PageId page, PageHold hold);
  void Drop(PageId page, PageHold hold);
  // Holds the page another way, without its being idle in between.
  void Change(PageId page, PageHold from, PageHold to);
  void SetIndexed(PageId page, bool indexed);
  // Applies `edit` to the page and moves it between classes as needed.
  template <typename Edit>
  void Update(PageId page, Edit edit);

  std::vector<Page> pages_;
  std::vector<PageId> free_;  // a stack: the last page freed is the first reused
  int64_t counts_[kPageClasses] = {};
};

}  // namespace baton
