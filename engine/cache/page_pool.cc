#include "engine/cache/page_pool.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace baton {
namespace {

// A broken invariant of the pool's callers: going on could hand out memory that someone still reads.
void Require(bool condition, const char* what, PageId page) {
  if (condition) return;
  std::fprintf(stderr, "page pool: %s (page %d)\n", what, page);
  std::abort();
}

}  // namespace

PagePool::PagePool(int64_t pages) : pages_(pages) {
  free_.reserve(pages);
  for (int64_t page = pages; page-- > 0;) free_.push_back(static_cast<PageId>(page));
  counts_[static_cast<int>(PageClass::kFree)] = pages;
}

PagePool::~PagePool() {
  for (PageId page = 0; page < size(); ++page) {
    Require(class_of(page) == PageClass::kFree, "a page did not come back", page);
  }
}

PageClass PagePool::class_of(PageId id) const {
  const Page& page = pages_[id];
  if (page.quarantined) return PageClass::kQuarantined;
  if (page.pulling) return PageClass::kPulling;
  if (page.uses > 0) return PageClass::kUsed;
  if (page.pins > 0) return PageClass::kPinned;
  return page.indexed ? PageClass::kCached : PageClass::kFree;
}

bool PagePool::idle(PageId id) const {
  const Page& page = pages_[id];
  return page.uses == 0 && page.pins == 0 && !page.pulling && !page.quarantined;
}

template <typename Edit>
void PagePool::Update(PageId page, Edit edit) {
  const PageClass before = class_of(page);
  edit(pages_[page]);
  const PageClass after = class_of(page);
  if (before == after) return;
  --counts_[static_cast<int>(before)];
  ++counts_[static_cast<int>(after)];
  if (after == PageClass::kFree) free_.push_back(page);
}

PageId PagePool::Take(PageHold hold) {
  Require(!free_.empty(), "taken from an empty free list", -1);
  const PageId page = free_.back();
  free_.pop_back();
  Hold(page, hold);
  return page;
}

void PagePool::Hold(PageId page, PageHold hold) {
  Require(page >= 0 && page < size(), "no such page", page);
  Require(!pages_[page].pulling && !pages_[page].quarantined, "an exclusive page is shared", page);
  Update(page, [&](Page& p) {
    if (hold == PageHold::kUse) ++p.uses;
    if (hold == PageHold::kPin) ++p.pins;
    if (hold != PageHold::kPull && hold != PageHold::kQuarantine) return;
    Require(p.uses == 0 && p.pins == 0 && !p.indexed, "a shared page becomes exclusive", page);
    p.pulling = hold == PageHold::kPull;
    p.quarantined = hold == PageHold::kQuarantine;
  });
}

void PagePool::Drop(PageId page, PageHold hold) {
  Update(page, [&](Page& p) {
    switch (hold) {
      case PageHold::kUse:
        Require(p.uses-- > 0, "dropped a use that was not held", page);
        break;
      case PageHold::kPin:
        Require(p.pins-- > 0, "dropped a pin that was not held", page);
        break;
      case PageHold::kPull:
        Require(p.pulling, "dropped a pull that was not held", page);
        p.pulling = false;
        break;
      case PageHold::kQuarantine:
        Require(p.quarantined, "dropped a quarantine that was not held", page);
        p.quarantined = false;
        break;
    }
  });
}

void PagePool::Change(PageId page, PageHold from, PageHold to) {
  if (from == to) return;
  const bool exclusive = to == PageHold::kPull || to == PageHold::kQuarantine;
  Require(!exclusive || from == PageHold::kPull, "only a pulled page can be quarantined", page);
  Update(page, [&](Page& p) {
    if (from == PageHold::kUse) Require(p.uses-- > 0, "changed a use that was not held", page);
    if (from == PageHold::kPin) Require(p.pins-- > 0, "changed a pin that was not held", page);
    if (from == PageHold::kPull)
      Require(std::exchange(p.pulling, false), "changed a pull that was not held", page);
    if (from == PageHold::kQuarantine) p.quarantined = false;
    if (to == PageHold::kUse) ++p.uses;
    if (to == PageHold::kPin) ++p.pins;
    if (to == PageHold::kQuarantine) p.quarantined = true;
  });
}

void PagePool::SetIndexed(PageId page, bool indexed) {
  Require(pages_[page].indexed != indexed, "indexed twice, or never", page);
  Require(!indexed || pages_[page].uses > 0, "only a page in use can be indexed", page);
  Update(page, [&](Page& p) { p.indexed = indexed; });
}

absl::Status PagePool::CheckIntegrity() const {
  int64_t counts[kPageClasses] = {};
  for (PageId page = 0; page < size(); ++page) {
    const Page& p = pages_[page];
    ++counts[static_cast<int>(class_of(page))];
    const bool shared = p.uses > 0 || p.pins > 0 || p.indexed;
    if ((p.pulling && p.quarantined) || ((p.pulling || p.quarantined) && shared)) {
      return absl::InternalError(absl::StrCat("page ", page, " is in two classes"));
    }
  }
  int64_t total = 0;
  for (int c = 0; c < kPageClasses; ++c) {
    if (counts[c] != counts_[c]) {
      return absl::InternalError(
          absl::StrCat("page class ", c, " counts ", counts_[c], ", but holds ", counts[c]));
    }
    total += counts[c];
  }
  if (total != size()) return absl::InternalError("page classes do not sum to the total");
  if (static_cast<int64_t>(free_.size()) != count(PageClass::kFree)) {
    return absl::InternalError(
        absl::StrCat(free_.size(), " pages in the free list, ", count(PageClass::kFree), " free"));
  }
  std::vector<bool> seen(pages_.size());
  for (PageId page : free_) {
    if (class_of(page) != PageClass::kFree || seen[page]) {
      return absl::InternalError(absl::StrCat("page ", page, " is in the free list wrongly"));
    }
    seen[page] = true;
  }
  return absl::OkStatus();
}

}  // namespace baton
