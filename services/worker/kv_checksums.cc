#include "services/worker/kv_checksums.h"

#include <algorithm>

#include "common/block_hash.h"
#include "common/checksum.h"
#include "services/worker/worker_core.h"

namespace baton {

KvChecksums::KvChecksums(ModelRunner* runner)
    : runner_(runner), layout_(runner->kv_layout()), pages_(static_cast<size_t>(runner->page_count())) {}

void KvChecksums::Begin(SeqId id, const std::vector<TokenId>& tokens, const Id128& cache_salt) {
  const BlockHash root = RootBlockHash(runner_->fingerprint(), cache_salt);
  Plan plan{static_cast<int64_t>(tokens.size()), BlockHashes(root, tokens, layout_.PageTokens())};
  absl::MutexLock lock(&mutex_);
  plans_[id] = std::move(plan);
}

void KvChecksums::End(SeqId id) {
  absl::MutexLock lock(&mutex_);
  plans_.erase(id);
}

uint64_t KvChecksums::Sum(PageId page, int atom, int layer, int unit, int64_t rows) {
  const KvSide side = unit < layout_.kv_heads ? KvSide::kKey : KvSide::kValue;
  const std::byte* bytes =
      runner_->PageData(page) + layout_.UnitOffset(atom, layer, side, unit % layout_.kv_heads);
  return Checksum64({bytes, static_cast<size_t>(rows) * layout_.RowBytes()});
}

KvChecksums::PageEntry& KvChecksums::Entry(PageId page, const BlockHash& block) {
  PageEntry& entry = pages_[static_cast<size_t>(page)];
  if (entry.block == block) return entry;
  const size_t parts = static_cast<size_t>(layout_.atoms_per_page) * layout_.layers;
  entry.block = block;
  entry.sums.resize(parts * layout_.UnitsPerLayer());
  entry.known.assign(parts, false);
  return entry;
}

std::vector<uint64_t> KvChecksums::Computed(const ComputedEvent& event) {
  Plan plan;
  {
    absl::MutexLock lock(&mutex_);
    const auto it = plans_.find(event.id);
    if (it == plans_.end()) return {};
    plan = it->second;
  }
  const auto [begin, end] = Offerable(event.begin, event.end, plan.tokens);
  const int units = layout_.UnitsPerLayer();
  std::vector<uint64_t> sums;
  sums.reserve(static_cast<size_t>((end - begin + kAtomTokens - 1) / kAtomTokens) * units *
               (event.end_layer - event.first_layer));
  for (int64_t token = begin; token < end; token += kAtomTokens) {
    const size_t block = static_cast<size_t>(token / layout_.PageTokens());
    const int atom = static_cast<int>(token % layout_.PageTokens() / kAtomTokens);
    const int64_t rows = std::min<int64_t>(kAtomTokens, plan.tokens - token);
    const PageId page = event.pages[block];
    // The last page may be partial: it has no name, is never found again, and needs no entry.
    PageEntry* entry = block < plan.blocks.size() ? &Entry(page, plan.blocks[block]) : nullptr;
    for (int layer = event.first_layer; layer < event.end_layer; ++layer) {
      const size_t part = static_cast<size_t>(atom) * layout_.layers + layer;
      const bool stored = event.from_cache && entry != nullptr && entry->known[part];
      for (int unit = 0; unit < units; ++unit) {
        const size_t slot = part * units + unit;
        const uint64_t sum = stored ? entry->sums[slot] : Sum(page, atom, layer, unit, rows);
        if (entry != nullptr) entry->sums[slot] = sum;
        sums.push_back(sum);
      }
      if (entry != nullptr) entry->known[part] = true;
    }
  }
  return sums;
}

std::vector<uint64_t> KvChecksums::Shared(const SharedEvent& event) {
  return Computed({.id = event.id,
                   .begin = 0,
                   .end = event.tokens,
                   .first_layer = 0,
                   .end_layer = event.layers,
                   .pages = event.pages,
                   .from_cache = true});
}

}  // namespace baton
