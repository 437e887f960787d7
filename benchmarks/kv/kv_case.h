#pragma once

// What the KV benchmark measures with: a layout, a pool of pages in shared memory with known bytes, and which
// of them a sequence lies in. Both processes make the same ones.

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/shared_memory.h"
#include "services/kv_transfer/handoff/types.h"
#include "services/kv_transfer/handoff/units.h"
#include "services/kv_transfer/transport/fast_wire.h"

namespace baton {

struct KvCase {
  std::string model;  // "8B" or "default"
  KvLayout layout;
  int64_t pool_tokens = 0;
  WireChoice wire = WireChoice::kShm;
  int chunk_tokens = 256;  // of an offer, as an engine makes them
  int layer_group = 4;
  int64_t pages() const { return layout.PagesFor(pool_tokens); }
  size_t pool_bytes() const { return static_cast<size_t>(pages()) * layout.PageBytes(); }
};

KvLayout LayoutOfModel(const std::string& model, int page_tokens);

class BenchPool final : public KvMemory {
 public:
  static absl::StatusOr<std::unique_ptr<BenchPool>> Create(const KvCase& kv);
  const KvLayout& layout() const override { return layout_; }
  uint32_t ranks() const override { return 1; }
  int64_t pages(uint32_t) const override { return pages_; }
  absl::Span<std::byte> Page(uint32_t, PageId page) override {
    return memory_->span().subspan(page * layout_.PageBytes(), layout_.PageBytes());
  }
  const SharedMemory& memory() const { return *memory_; }
  // Pseudo-random bytes.
  void Fill();
  // Of every unit of every page, in order; once.
  void ComputeChecksums();
  std::vector<uint64_t> Checksums(const UnitRect& rect, const std::vector<PageId>& pages) const;

 private:
  BenchPool(const KvCase& kv, std::unique_ptr<SharedMemory> memory)
      : layout_(kv.layout), pages_(kv.pages()), memory_(std::move(memory)) {}
  const KvLayout layout_;
  const int64_t pages_;
  const std::unique_ptr<SharedMemory> memory_;
  std::vector<uint64_t> sums_;
};

// The pages of sequence `n` of `tokens` tokens: scattered, and others each time, so that nothing is in a
// cache.
std::vector<PageId> PagesOf(const KvCase& kv, uint64_t n, int64_t tokens, bool owner);

double CpuSeconds();  // of this process
double Median(std::vector<double> values);

}  // namespace baton
