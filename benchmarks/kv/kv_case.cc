#include "benchmarks/kv/kv_case.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstring>

#include "common/checksum.h"
#include "common/status_macros.h"

namespace baton {

KvLayout LayoutOfModel(const std::string& model, int page_tokens) {
  const int atoms = page_tokens / kAtomTokens;
  if (model == "8B") return {32, 8, 128, KvDtype::kBF16, atoms};
  return {30, 3, 64, KvDtype::kF16, atoms};
}

absl::StatusOr<std::unique_ptr<BenchPool>> BenchPool::Create(const KvCase& kv) {
  BATON_ASSIGN_OR_RETURN(std::unique_ptr<SharedMemory> memory, SharedMemory::Create(kv.pool_bytes()));
  return std::unique_ptr<BenchPool>(new BenchPool(kv, std::move(memory)));
}

void BenchPool::Fill() {
  uint64_t state = 1;
  const absl::Span<std::byte> all = memory_->span();
  for (size_t i = 0; i + 8 <= all.size(); i += 8) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::memcpy(all.data() + i, &state, 8);
  }
}

void BenchPool::ComputeChecksums() {
  const size_t unit = layout_.UnitBytes();
  const absl::Span<std::byte> all = memory_->span();
  sums_.clear();
  for (size_t at = 0; at < all.size(); at += unit) sums_.push_back(Checksum64(all.subspan(at, unit)));
}

std::vector<uint64_t> BenchPool::Checksums(const UnitRect& rect, const std::vector<PageId>& pages) const {
  const std::vector<uint64_t> none(RectUnits(layout_, rect));
  std::vector<uint64_t> out;
  out.reserve(none.size());
  for (const UnitCheck& check : RectChecks(layout_, rect, {0, 0, pages}, none)) {
    out.push_back(sums_[check.range.offset / layout_.UnitBytes()]);
  }
  return out;
}

std::vector<PageId> PagesOf(const KvCase& kv, uint64_t n, int64_t tokens, bool owner) {
  std::vector<PageId> all(kv.pages());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<PageId>(i);
  std::mt19937_64 rng(2 * 7 + (owner ? 1 : 0));
  std::shuffle(all.begin(), all.end(), rng);
  const size_t count = kv.layout.PagesFor(tokens);
  std::rotate(all.begin(), all.begin() + n * count % all.size(), all.end());
  all.resize(count);
  return all;
}

double CpuSeconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace baton
