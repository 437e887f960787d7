#include "engine/cache/prefix_index.h"

#include "absl/strings/str_cat.h"

namespace baton {

PrefixIndex::~PrefixIndex() {
  for (const auto& [hash, block] : blocks_) pool_->SetIndexed(block.page, false);
}

std::vector<PageId> PrefixIndex::Find(absl::Span<const BlockHash> hashes) const {
  std::vector<PageId> pages;
  for (const BlockHash& hash : hashes) {
    const auto it = blocks_.find(hash);
    if (it == blocks_.end()) break;
    pages.push_back(it->second.page);
  }
  return pages;
}

PageId PrefixIndex::Insert(const BlockHash& hash, const BlockHash* parent, PageId page) {
  const auto [it, inserted] = blocks_.try_emplace(hash);
  if (!inserted) return it->second.page;
  it->second = Block{.page = page, .has_parent = parent != nullptr, .used_at = ++tick_};
  leaves_.emplace(tick_, hash);
  pool_->SetIndexed(page, true);
  changes_.push_back({hash, true});
  if (parent != nullptr) {
    it->second.parent = *parent;
    Block& above = blocks_.at(*parent);
    if (above.children++ == 0) leaves_.erase({above.used_at, *parent});
  }
  return page;
}

void PrefixIndex::Touch(absl::Span<const BlockHash> hashes) {
  ++tick_;
  for (const BlockHash& hash : hashes) {
    const auto it = blocks_.find(hash);
    if (it == blocks_.end()) return;
    Block& block = it->second;
    if (block.children == 0) {
      leaves_.erase({block.used_at, hash});
      leaves_.emplace(tick_, hash);
    }
    block.used_at = tick_;
  }
}

bool PrefixIndex::EvictOne() {
  for (auto leaf = leaves_.begin(); leaf != leaves_.end(); ++leaf) {
    const BlockHash hash = leaf->second;
    const Block block = blocks_.at(hash);
    if (!pool_->idle(block.page)) continue;
    leaves_.erase(leaf);
    blocks_.erase(hash);
    changes_.push_back({hash, false});
    pool_->SetIndexed(block.page, false);
    if (block.has_parent) {
      Block& above = blocks_.at(block.parent);
      if (--above.children == 0) leaves_.emplace(above.used_at, block.parent);
    }
    return true;
  }
  return false;
}

absl::Status PrefixIndex::CheckIntegrity() const {
  int64_t indexed = 0;
  for (PageId page = 0; page < pool_->size(); ++page) indexed += pool_->indexed(page) ? 1 : 0;
  if (indexed != size())
    return absl::InternalError(absl::StrCat(indexed, " pages indexed, ", size(), " blocks known"));

  absl::flat_hash_map<BlockHash, uint32_t> children;
  std::vector<bool> seen(pool_->size());
  for (const auto& [hash, block] : blocks_) {
    if (!pool_->indexed(block.page) || seen[block.page]) {
      return absl::InternalError(absl::StrCat("page ", block.page, " is indexed wrongly or twice"));
    }
    seen[block.page] = true;
    if (!block.has_parent) continue;
    ++children[block.parent];
    const auto above = blocks_.find(block.parent);
    if (above == blocks_.end()) return absl::InternalError("a prefix block without its parent");
    if (!pool_->idle(block.page) && pool_->idle(above->second.page)) {
      return absl::InternalError(absl::StrCat("page ", block.page, " is held, but not the block before it"));
    }
  }
  int64_t leaves = 0;
  for (const auto& [hash, block] : blocks_) {
    const auto it = children.find(hash);
    if (block.children != (it == children.end() ? 0 : it->second))
      return absl::InternalError("children miscounted");
    if (block.children > 0) continue;
    ++leaves;
    if (!leaves_.contains({block.used_at, hash}))
      return absl::InternalError("a leaf block that cannot be evicted");
  }
  if (leaves != static_cast<int64_t>(leaves_.size())) return absl::InternalError("leaves miscounted");
  return absl::OkStatus();
}

}  // namespace baton
