#pragma once

// What the handoff's tests share: a small layout, pools in memory, and sequences with known bytes.

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "common/checksum.h"
#include "services/kv_transfer/handoff/types.h"
#include "services/kv_transfer/handoff/units.h"

namespace baton::testing {

inline constexpr KvLayout kSmallLayout{
    .layers = 3, .kv_heads = 2, .head_dim = 4, .dtype = KvDtype::kF16, .atoms_per_page = 2};

class TestMemory final : public KvMemory {
 public:
  TestMemory(const KvLayout& layout, int64_t pages, uint32_t ranks = 1)
      : layout_(layout), pages_(pages), pools_(ranks, std::vector<std::byte>(pages * layout.PageBytes())) {}
  const KvLayout& layout() const override { return layout_; }
  uint32_t ranks() const override { return static_cast<uint32_t>(pools_.size()); }
  int64_t pages(uint32_t) const override { return pages_; }
  absl::Span<std::byte> Page(uint32_t rank, PageId page) override {
    return absl::MakeSpan(pools_[rank]).subspan(page * layout_.PageBytes(), layout_.PageBytes());
  }
  void Randomize(std::mt19937_64& rng) {
    for (auto& pool : pools_) {
      for (size_t i = 0; i + 8 <= pool.size(); i += 8) {
        const uint64_t word = rng();
        std::memcpy(pool.data() + i, &word, 8);
      }
    }
  }

 private:
  KvLayout layout_;
  int64_t pages_;
  std::vector<std::vector<std::byte>> pools_;
};

inline HandoffId Id(uint64_t n) {
  return {{7, n}, {1, 0}};
}
inline const Epoch kOwnerEpoch{1, 11}, kReaderEpoch{2, 22};
inline const Id128 kDigest{5, 55};

// `count` different pages of a pool of `pool`, in random order.
inline std::vector<PageId> SomePages(std::mt19937_64& rng, int64_t pool, int64_t count) {
  std::vector<PageId> all(pool);
  for (int64_t i = 0; i < pool; ++i) all[i] = static_cast<PageId>(i);
  std::shuffle(all.begin(), all.end(), rng);
  all.resize(count);
  return all;
}

// The checksums of what `memory` now holds of `rect`.
inline std::vector<uint64_t> ChecksumsOf(TestMemory& memory, uint32_t rank, const UnitRect& rect,
                                         const std::vector<PageId>& pages) {
  const KvLayout& layout = memory.layout();
  const std::vector<uint64_t> none(RectUnits(layout, rect));
  std::vector<uint64_t> out;
  for (const UnitCheck& check : RectChecks(layout, rect, {rank, 0, pages}, none)) {
    const auto page = static_cast<PageId>(check.range.offset / layout.PageBytes());
    out.push_back(Checksum64(
        memory.Page(rank, page).subspan(check.range.offset % layout.PageBytes(), check.range.length)));
  }
  return out;
}

inline OwnOffer OfferOf(TestMemory& memory, const HandoffId& id, uint32_t rank, const UnitRect& rect,
                        const std::vector<PageId>& pages) {
  return {id,
          rect.begin,
          rect.end,
          rect.first_layer,
          rect.end_layer,
          pages,
          ChecksumsOf(memory, rank, rect, pages)};
}

inline bool SameBytes(TestMemory& a, uint32_t rank_a, const std::vector<PageId>& pages_a, TestMemory& b,
                      uint32_t rank_b, const std::vector<PageId>& pages_b, const UnitRect& rect) {
  return ChecksumsOf(a, rank_a, rect, pages_a) == ChecksumsOf(b, rank_b, rect, pages_b);
}

}  // namespace baton::testing
