#include "tests/faults/guarded_pages.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/checksum.h"
#include "common/status_macros.h"
#include "tests/faults/pattern.h"

namespace baton::faults {
namespace {

const size_t kPageWords = kLayout.PageBytes() / sizeof(uint64_t);

void Write(absl::Span<std::byte> bytes, uint64_t seed, uint64_t first) {
  for (size_t at = 0; at < bytes.size(); at += sizeof(uint64_t)) {
    const uint64_t word = Mix(seed + first++);
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
}

int64_t Differing(absl::Span<const std::byte> bytes, uint64_t seed, uint64_t first) {
  int64_t count = 0;
  for (size_t at = 0; at < bytes.size(); at += sizeof(uint64_t)) {
    const uint64_t want = Mix(seed + first++);
    if (std::memcmp(bytes.data() + at, &want, sizeof want) == 0) continue;
    const auto* const bytewise = reinterpret_cast<const std::byte*>(&want);
    for (size_t i = 0; i < sizeof want; ++i) count += bytes[at + i] != bytewise[i];
  }
  return count;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GuardedPages>> GuardedPages::Create(int64_t pages) {
  BATON_ASSIGN_OR_RETURN(std::unique_ptr<SharedMemory> memory,
                         SharedMemory::Create(pages * kLayout.PageBytes()));
  return std::unique_ptr<GuardedPages>(new GuardedPages(std::move(memory), pages));
}

GuardedPages::GuardedPages(std::unique_ptr<SharedMemory> memory, int64_t pages)
    : memory_(std::move(memory)), pool_(pages), freed_(pages) {
  for (int64_t page = 0; page < pages; ++page) Overwrite(static_cast<PageId>(page));
}

absl::Span<std::byte> GuardedPages::Page(uint32_t, PageId page) {
  return memory_->span().subspan(page * kLayout.PageBytes(), kLayout.PageBytes());
}

absl::StatusOr<PageLease> GuardedPages::Take(int64_t count, PageHold hold) {
  if (pool_.count(PageClass::kFree) < count) return absl::ResourceExhaustedError("no pages are free");
  PageLease lease = PageLease::TakeFree(&pool_, count, hold);
  for (const PageId page : lease.pages()) late_ += CountChanged(page);
  return lease;
}

void GuardedPages::Free(PageLease lease) {
  for (const PageId page : lease.pages()) Overwrite(page);
}

void GuardedPages::Overwrite(PageId page) {
  Write(Page(0, page), GuardSeed(page, ++freed_[page]), 0);
}

int64_t GuardedPages::CountChanged(PageId page) {
  return Differing(Page(0, page), GuardSeed(page, freed_[page]), 0);
}

int64_t GuardedPages::LateWrites() {
  int64_t count = late_;
  for (int64_t page = 0; page < pool_.size(); ++page) {
    const auto id = static_cast<PageId>(page);
    if (pool_.class_of(id) == PageClass::kFree) count += CountChanged(id);
  }
  return count;
}

template <typename Act>
void GuardedPages::ForEachRange(const UnitRect& rect, absl::Span<const PageId> pages, Act act) {
  for (size_t i = 0; i < pages.size(); ++i) {
    const int64_t first_token = static_cast<int64_t>(i) * kLayout.PageTokens();
    const UnitRect part = Clip(rect, first_token, first_token + kLayout.PageTokens());
    if (part.empty()) continue;
    for (const ByteRange& range : RectRanges(kLayout, part, {0, 0, pages})) {
      const size_t within = range.offset % kLayout.PageBytes();
      act(memory_->span().subspan(range.offset, range.length), i * kPageWords + within / sizeof(uint64_t));
    }
  }
}

void GuardedPages::Fill(const HandoffId& id, const UnitRect& rect, absl::Span<const PageId> pages) {
  ForEachRange(rect, pages,
               [&](absl::Span<std::byte> bytes, uint64_t first) { Write(bytes, SequenceSeed(id), first); });
}

int64_t GuardedPages::CountWrong(const HandoffId& id, const UnitRect& rect, absl::Span<const PageId> pages) {
  int64_t count = 0;
  ForEachRange(rect, pages, [&](absl::Span<std::byte> bytes, uint64_t first) {
    count += Differing(bytes, SequenceSeed(id), first);
  });
  return count;
}

std::vector<uint64_t> GuardedPages::Checksums(const UnitRect& rect, absl::Span<const PageId> pages) {
  const std::vector<uint64_t> unknown(RectUnits(kLayout, rect));
  std::vector<uint64_t> out;
  out.reserve(unknown.size());
  for (const UnitCheck& unit : RectChecks(kLayout, rect, {0, 0, pages}, unknown)) {
    out.push_back(Checksum64(memory_->span().subspan(unit.range.offset, unit.range.length)));
  }
  return out;
}

std::string GuardedPages::Classes() const {
  return absl::StrCat("free ", pool_.count(PageClass::kFree), " used ", pool_.count(PageClass::kUsed),
                      " pinned ", pool_.count(PageClass::kPinned), " pulling ",
                      pool_.count(PageClass::kPulling), " quarantined ",
                      pool_.count(PageClass::kQuarantined));
}

}  // namespace baton::faults
