#pragma once

// A rank's pages in the production PagePool, over shared memory, in which free pages are overwritten at once
// and watched from then on. Not thread-safe.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/shared_memory.h"
#include "engine/cache/page_lease.h"
#include "services/kv_transfer/handoff/types.h"
#include "services/kv_transfer/handoff/units.h"

namespace baton::faults {

// 64 KiB an atom: 8 layers, 2 KV heads of 64 halves.
inline constexpr KvLayout kLayout{
    .layers = 8, .kv_heads = 2, .head_dim = 64, .dtype = KvDtype::kF16, .atoms_per_page = 2};

class GuardedPages final : public KvMemory {
 public:
  static absl::StatusOr<std::unique_ptr<GuardedPages>> Create(int64_t pages);

  const KvLayout& layout() const override { return kLayout; }
  uint32_t ranks() const override { return 1; }
  int64_t pages(uint32_t) const override { return pool_.size(); }
  absl::Span<std::byte> Page(uint32_t rank, PageId page) override;
  const SharedMemory* shared() const { return memory_.get(); }
  const PagePool& pool() const { return pool_; }

  // ResourceExhausted: that many are not free.
  absl::StatusOr<PageLease> Take(int64_t count, PageHold hold);
  // Gives them back and overwrites them.
  void Free(PageLease lease);
  // Bytes of free pages, now or when they were taken, that are not what they were overwritten with.
  int64_t LateWrites();

  // Writes the pattern of `id` into the bytes of `rect` of a sequence in `pages`.
  void Fill(const HandoffId& id, const UnitRect& rect, absl::Span<const PageId> pages);
  // How many of those bytes are not the pattern's.
  int64_t CountWrong(const HandoffId& id, const UnitRect& rect, absl::Span<const PageId> pages);
  std::vector<uint64_t> Checksums(const UnitRect& rect, absl::Span<const PageId> pages);
  // "free 32 used 0 ...".
  std::string Classes() const;

 private:
  GuardedPages(std::unique_ptr<SharedMemory> memory, int64_t pages);
  int64_t CountChanged(PageId page);
  void Overwrite(PageId page);
  // Calls act(bytes, n) for each contiguous range of `rect`, where n is the number of its first word in the
  // sequence.
  template <typename Act>
  void ForEachRange(const UnitRect& rect, absl::Span<const PageId> pages, Act act);

  const std::unique_ptr<SharedMemory> memory_;
  PagePool pool_;
  std::vector<uint64_t> freed_;  // times, by page
  int64_t late_ = 0;             // found when pages were taken
};

}  // namespace baton::faults
