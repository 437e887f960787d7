// PoolCore's other half: blocks in memory and on disk.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "services/kv_transfer/pool/pool_core.h"

namespace baton::pool {
namespace {

constexpr int kSeenBefore = 2;

}  // namespace

std::optional<PageId> PoolCore::TakePage() {
  if (const auto page = pages_.Take()) return page;
  const auto victim = queue_.Evict([this](const BlockHash& key) {
    return pages_.state(blocks_.at(key).page) == PageState::kCached && !children_.contains(key);
  });
  if (!victim.has_value()) return std::nullopt;
  ++counters_.blocks_evicted;
  LeaveMemory(blocks_.at(*victim));
  EraseIfNowhere(*victim);
  return pages_.Take();
}

void PoolCore::Insert(const BlockHash& key, const BlockHash& parent, PageId page,
                      std::vector<uint64_t> sums) {
  Block& block = blocks_[key];
  if (block.page != kNoPage) return pages_.Free(page);
  block.parent = parent;
  block.page = page;
  block.sums = std::move(sums);
  pages_.FilledWithBlock(page);
  ++children_[parent];
  queue_.Insert(key);
}

// The page of an idle block, which its queue knows no more.
void PoolCore::LeaveMemory(Block& block) {
  pages_.Free(block.page);
  block.page = kNoPage;
  block.sums = {};
  Unclaim(block.parent);
}

void PoolCore::LeaveDisk(const BlockHash& key) {
  Block& block = blocks_.at(key);
  if (block.disk.empty()) return;
  if (!block.writing) --on_disk_;
  block.disk = {};
  block.writing = false;
  EraseIfNowhere(key);
}

void PoolCore::EraseIfNowhere(const BlockHash& key) {
  const auto it = blocks_.find(key);
  if (it->second.page == kNoPage && it->second.disk.empty() && !loads_.contains(key)) blocks_.erase(it);
}

void PoolCore::WriteBehind(const BlockHash& key, Block& block) {
  if (!disk_enabled() || !block.disk.empty() || block.page == kNoPage) return;
  const bool admitted = books_.HasRoom() || block.used_on_disk || sketch_.Count(key) >= kSeenBefore;
  if (!admitted || writes_ >= options_.max_disk_writes) {
    ++counters_.disk_skipped;
    return;
  }
  const DiskBooks::Placed placed = books_.Place(key);
  if (placed.sealed.has_value()) actions_.emplace_back(SealSegment{*placed.sealed});
  block.disk = placed.place;
  block.writing = true;
  block.used_on_disk = false;
  ++writes_;
  pages_.Pin(block.page);
  actions_.emplace_back(
      WriteBlock{{.key = key, .parent = block.parent, .sequence = placed.sequence, .place = placed.place},
                 block.page,
                 block.sums});
}

// Every block is written again at most once in a call, as that forgets its use.
void PoolCore::DropOldSegments() {
  while (const auto dropped = books_.DropOldest()) {
    actions_.emplace_back(DropSegment{dropped->segment});
    for (const BlockHash& key : dropped->keys) {
      const auto it = blocks_.find(key);
      if (it == blocks_.end() || it->second.disk.segment != dropped->segment) continue;
      const bool used = it->second.used_on_disk;
      ++counters_.disk_dropped;
      LeaveDisk(key);
      if (const auto left = blocks_.find(key); left != blocks_.end() && used) WriteBehind(key, left->second);
    }
  }
}

void PoolCore::OnRecovered(const RecoveredLog& log) {
  books_.Recover(log);
  counters_.disk_refused += log.refused;
  for (const RecordName& name : log.blocks) {
    Block& block = blocks_[name.key];
    if (!block.disk.empty()) continue;
    if (block.page == kNoPage) block.parent = name.parent;
    block.disk = name.place;
    ++on_disk_;
  }
  DropOldSegments();
}

void PoolCore::OnWritten(const BlockHash& key, DiskPlace place, const absl::Status& status) {
  --writes_;
  const auto it = blocks_.find(key);
  if (it == blocks_.end()) return;
  pages_.Unpin(it->second.page);
  if (!status.ok()) return DiskOff(status);
  ++counters_.disk_written;
  if (it->second.disk != place || !it->second.writing) return;
  it->second.writing = false;
  ++on_disk_;
}

void PoolCore::OnRead(const BlockHash& key, DiskPlace place, const absl::Status& status,
                      std::vector<uint64_t> sums) {
  const auto found = loads_.find(key);
  if (found == loads_.end()) return;
  const Load load = std::move(found->second);
  loads_.erase(found);
  PageId page = load.page;
  if (status.ok()) {
    ++counters_.disk_read;
    Insert(key, blocks_.at(key).parent, load.page, std::move(sums));
    page = blocks_.at(key).page;  // another, if a store brought the block meanwhile
    queue_.Hit(key);
  } else {
    pages_.Free(load.page);
    if (absl::IsDataLoss(status)) ++counters_.disk_refused;
    if (blocks_.at(key).disk == place) LeaveDisk(key);
    if (blocks_.contains(key)) EraseIfNowhere(key);
  }
  for (const auto& [id, serial, index] : load.waiters) {
    const auto it = fetches_.find(id);
    if (it == fetches_.end() || it->second.serial != serial || it->second.revoked) continue;
    Fetch& fetch = it->second;
    --fetch.waiting;
    if (status.ok()) {
      pages_.Pin(page);
      fetch.pages[index] = page;
      fetch.pinned[index] = true;
      Offer(id, fetch, index, index + 1);
      SealIfComplete(id, fetch);
    } else {
      fetch.revoked = true;
      actions_.emplace_back(MoveKv{OwnRevoke{id, "a block could not be read from disk"}});
    }
  }
  if (!status.ok() && !absl::IsDataLoss(status)) DiskOff(status);
}

void PoolCore::OnDiskFailed(const absl::Status& why) {
  DiskOff(why);
}

void PoolCore::DiskOff(const absl::Status& why) {
  if (!disk_state_.ok()) return;
  disk_state_ = why;
  std::vector<BlockHash> keys;
  for (const auto& [key, block] : blocks_) {
    if (!block.disk.empty()) keys.push_back(key);
  }
  for (const BlockHash& key : keys) LeaveDisk(key);
}

absl::Status PoolCore::CheckIntegrity() const {
  std::vector<uint32_t> holders(pages_.size(), 0);
  const auto claim = [&](PageId page, PageState a, PageState b) {
    return page >= 0 && page < pages_.size() && holders[page]++ == 0 &&
           (pages_.state(page) == a || pages_.state(page) == b);
  };
  int64_t resident = 0, on_disk = 0;
  for (const auto& [key, block] : blocks_) {
    on_disk += !block.disk.empty() && !block.writing;
    if (block.page == kNoPage) continue;
    ++resident;
    if (!claim(block.page, PageState::kCached, PageState::kPinned))
      return absl::InternalError("a block's page is not its own");
    if (!queue_.Contains(key)) return absl::InternalError("a block in memory is in no queue");
  }
  for (const auto& [key, load] : loads_) {
    if (!claim(load.page, PageState::kFilling, PageState::kFilling))
      return absl::InternalError("a load's page is not its own");
  }
  for (const auto& [id, store] : stores_) {
    const PageState state = store.quarantined ? PageState::kQuarantined : PageState::kFilling;
    for (const PageId page : store.pages) {
      if (!claim(page, state, state)) return absl::InternalError("a store's page is not its own");
    }
  }
  int64_t pins = static_cast<int64_t>(writes_), held = 0;
  for (const auto& [id, fetch] : fetches_) pins += std::count(fetch.pinned.begin(), fetch.pinned.end(), true);
  for (PageId page = 0; page < pages_.size(); ++page) {
    held += pages_.pins(page);
    if ((holders[page] == 0) != (pages_.state(page) == PageState::kFree))
      return absl::InternalError(absl::StrCat("page ", page, " is held by nobody, or is free and held"));
  }
  if (pins != held) return absl::InternalError(absl::StrCat(held, " pins for ", pins, " uses"));
  if (resident != queue_.size() || on_disk != on_disk_ || pages_.wrong_moves() != 0)
    return absl::InternalError("the books of a tier do not agree");
  return absl::OkStatus();
}

}  // namespace baton::pool
