#include "services/kv_transfer/pool/pool_core.h"

#include <algorithm>

#include "common/status_macros.h"

namespace baton::pool {
namespace {

constexpr int kSeenBefore = 2;  // touches: this one, and one before
constexpr BlockHash kNoParent;

}  // namespace

PoolCore::PoolCore(const PoolCoreOptions& options)
    : options_(options),
      pages_(options.pages),
      queue_(options.pages),
      sketch_(options.pages + options.segments * options.segment_blocks),
      books_(options.segment_blocks, options.segments) {}

bool PoolCore::Busy() const {
  return fetches_.size() >= options_.max_moves || stores_.size() >= options_.max_moves;
}

// --- fetch

absl::Status PoolCore::Check(const HandoffId& id, const BlockRun& run) const {
  if (run.blocks.size() > options_.max_run || run.blocks.size() != run.digests.size())
    return absl::InvalidArgumentError("too many blocks, or not one digest for each");
  if (id.stream.empty() || fetches_.contains(id) || stores_.contains(id))
    return absl::InvalidArgumentError("the handoff id is missing or in use");
  absl::flat_hash_set<BlockHash> seen;
  for (const BlockHash& key : run.blocks) {
    if (key.empty() || !seen.insert(key).second)
      return absl::InvalidArgumentError("a block's key is empty, or comes twice");
  }
  return absl::OkStatus();
}

absl::StatusOr<FetchAnswer> PoolCore::OnFetch(FetchCall call, MonoTime now) {
  BATON_RETURN_IF_ERROR(Check(call.id, call.run));
  const size_t asked = call.run.blocks.size();
  const uint32_t skip = std::min<uint32_t>(call.skip, static_cast<uint32_t>(asked));
  ++counters_.fetches;
  counters_.blocks_asked += asked - skip;
  for (const BlockHash& key : call.run.blocks) {
    sketch_.Touch(key);
    queue_.Hit(key);
  }
  FetchAnswer answer{.found = static_cast<uint32_t>(Promised(call))};
  const bool enough = answer.found > skip && answer.found - skip >= call.least;
  if (enough && Busy()) ++counters_.busy;
  if (!enough || Busy()) {
    ++counters_.fetches_empty;
    return answer;
  }
  Fetch fetch{.serial = ++last_fetch_};
  fetch.blocks.assign(call.run.blocks.begin(), call.run.blocks.begin() + answer.found);
  Begin(call, fetch, now);
  answer.blocks = static_cast<uint32_t>(fetch.blocks.size());
  answer.from_disk = static_cast<uint32_t>(fetch.waiting);
  if (answer.blocks == 0) {
    ++counters_.fetches_empty;
    return answer;
  }
  counters_.blocks_from_disk += answer.from_disk;
  counters_.blocks_hit += answer.blocks - std::min(answer.blocks, skip);
  fetches_.emplace(call.id, std::move(fetch));
  return answer;
}

// Leading blocks that are here or can be had.
size_t PoolCore::Promised(const FetchCall& call) const {
  size_t n = 0;
  for (; n < call.run.blocks.size(); ++n) {
    const auto it = blocks_.find(call.run.blocks[n]);
    if (it == blocks_.end()) break;
    const bool on_disk = !it->second.disk.empty() && !it->second.writing;
    if (it->second.page == kNoPage && !on_disk && !loads_.contains(call.run.blocks[n])) break;
  }
  return n;
}

// What is in memory is pinned first, so that room for the others is not made at its cost.
void PoolCore::Begin(const FetchCall& call, Fetch& fetch, MonoTime now) {
  const size_t n = fetch.blocks.size();
  fetch.pages.assign(n, kNoPage);
  fetch.pinned.assign(n, false);
  for (size_t i = 0; i < n; ++i) {
    Block& block = blocks_.at(fetch.blocks[i]);
    block.used_on_disk = true;
    if (block.page == kNoPage) continue;
    pages_.Pin(block.page);
    fetch.pages[i] = block.page;
    fetch.pinned[i] = true;
  }
  size_t got = 0;
  for (; got < n; ++got) {
    if (!fetch.pinned[got]) PinOrLoad(call.id, fetch, got);
    if (fetch.pages[got] == kNoPage) break;
  }
  for (size_t i = got; i < n; ++i) {
    if (fetch.pinned[i]) pages_.Unpin(fetch.pages[i]);
  }
  fetch.blocks.resize(got);
  fetch.pages.resize(got);
  fetch.pinned.resize(got);
  if (got == 0) return;
  fetch.digest = call.run.digests[got - 1];
  const auto tokens = static_cast<int64_t>(got) * options_.layout.PageTokens();
  actions_.emplace_back(MoveKv{OwnBegin{call.id, 0, call.reader_epoch, call.reader_rank, tokens,
                                        now + std::min(call.timeout, options_.longest)}});
  for (size_t begin = 0; begin < got;) {
    size_t end = begin;
    while (end < got && fetch.pinned[end]) ++end;
    Offer(call.id, fetch, begin, end);
    begin = end + 1;
  }
  SealIfComplete(call.id, fetch);
}

void PoolCore::PinOrLoad(const HandoffId& id, Fetch& fetch, size_t index) {
  const BlockHash key = fetch.blocks[index];
  auto load = loads_.find(key);
  if (load == loads_.end()) {
    if (loads_.size() >= options_.max_disk_reads) return;
    const std::optional<PageId> page = TakePage();
    const auto block = blocks_.find(key);
    if (!page.has_value()) return;
    load = loads_.emplace(key, Load{*page, {}}).first;
    actions_.emplace_back(ReadBlock{key, block->second.disk, *page});
  }
  load->second.waiters.push_back({id, fetch.serial, index});
  fetch.pages[index] = load->second.page;
  ++fetch.waiting;
}

void PoolCore::Offer(const HandoffId& id, const Fetch& fetch, size_t begin, size_t end) {
  const int64_t tokens = options_.layout.PageTokens();
  while (begin < end) {
    const size_t until = std::min(end, begin + static_cast<size_t>(options_.offer_blocks));
    OwnOffer offer{.id = id,
                   .begin = static_cast<int64_t>(begin) * tokens,
                   .end = static_cast<int64_t>(until) * tokens,
                   .first_layer = 0,
                   .end_layer = options_.layout.layers,
                   .pages = fetch.pages};
    for (size_t i = begin; i < until; ++i) {
      const std::vector<uint64_t>& sums = blocks_.at(fetch.blocks[i]).sums;
      offer.checksums.insert(offer.checksums.end(), sums.begin(), sums.end());
    }
    actions_.emplace_back(MoveKv{std::move(offer)});
    begin = until;
  }
}

void PoolCore::SealIfComplete(const HandoffId& id, const Fetch& fetch) {
  if (fetch.waiting == 0 && !fetch.revoked) actions_.emplace_back(MoveKv{OwnSeal{id, fetch.digest, 0}});
}

void PoolCore::On(const OwnEnded& event) {
  const auto it = fetches_.find(event.id);
  if (it == fetches_.end()) return;
  ++(event.held ? counters_.fetches_held : counters_.fetches_lost);
  for (size_t i = 0; i < it->second.pages.size(); ++i) {
    if (it->second.pinned[i]) pages_.Unpin(it->second.pages[i]);
  }
  fetches_.erase(it);
}

// --- store

absl::StatusOr<StoreAnswer> PoolCore::OnStore(StoreCall call, MonoTime now) {
  BATON_RETURN_IF_ERROR(Check(call.id, call.run));
  ++counters_.stores;
  if (Busy()) {
    ++counters_.busy;
    return StoreAnswer{};
  }
  const std::vector<BlockHash>& offered = call.run.blocks;
  const auto [first, wanted] = Wanted(offered);
  Store store;
  store.parent = first == 0 ? kNoParent : offered[first - 1];
  ++children_[store.parent];  // so that room is not made at its cost
  for (size_t i = first; i < first + wanted; ++i) {
    if (pages_.count(PageState::kFilling) >= std::max<int64_t>(1, options_.pages / 2)) break;
    const std::optional<PageId> page = TakePage();
    if (!page.has_value()) break;
    store.pages.push_back(*page);
    store.blocks.push_back(offered[i]);
  }
  if (store.blocks.empty()) {
    ++counters_.stores_unwanted;
    Unclaim(store.parent);
    return StoreAnswer{};
  }
  arriving_.insert(store.blocks.begin(), store.blocks.end());
  const size_t end = first + store.blocks.size();
  const auto tokens = [this](size_t blocks) {
    return static_cast<int64_t>(blocks) * options_.layout.PageTokens();
  };
  // Pages before the first are not touched; any will do.
  std::vector<PageId> pages(first, store.pages.front());
  pages.insert(pages.end(), store.pages.begin(), store.pages.end());
  actions_.emplace_back(MoveKv{PullBegin{.id = call.id,
                                         .owner = std::move(call.owner),
                                         .rank = 0,
                                         .begin = tokens(first),
                                         .end = tokens(end),
                                         .pages = std::move(pages),
                                         .digest = call.run.digests[end - 1],
                                         .deadline = now + std::min(call.timeout, options_.longest)}});
  const StoreAnswer answer{static_cast<uint32_t>(first), static_cast<uint32_t>(store.blocks.size())};
  stores_.emplace(call.id, std::move(store));
  return answer;
}

void PoolCore::Unclaim(const BlockHash& parent) {
  const auto it = children_.find(parent);
  if (--it->second == 0) children_.erase(it);
}

// The run of blocks to take: from the first that is missing to one that is here, or not admitted.
std::pair<size_t, size_t> PoolCore::Wanted(const std::vector<BlockHash>& blocks) {
  const auto here = [this](const BlockHash& key) { return blocks_.contains(key) || arriving_.contains(key); };
  size_t first = 0;
  while (first < blocks.size() && here(blocks[first])) ++first;
  int64_t room = pages_.count(PageState::kFree);
  size_t end = first;
  for (; end < blocks.size() && !here(blocks[end]); ++end) {
    const BlockHash& key = blocks[end];
    if (--room < 0 && end - first >= first && sketch_.Count(key) < kSeenBefore && !queue_.Remembers(key))
      break;
  }
  counters_.blocks_not_admitted += blocks.size() - end;
  return {first, end - first};
}

void PoolCore::On(const PullHeld& event) {
  const auto it = stores_.find(event.id);
  if (it == stores_.end() || it->second.quarantined) return;
  ++counters_.stores_held;
  actions_.emplace_back(SumPages{event.id, it->second.pages});
}

void PoolCore::On(const PullLost& event) {
  const auto it = stores_.find(event.id);
  if (it == stores_.end() || it->second.quarantined) return;
  ++counters_.stores_lost;
  it->second.quarantined = true;
  for (const PageId page : it->second.pages) pages_.Quarantine(page);
  if (event.fenced) On(PullFenced{event.id});
}

void PoolCore::On(const PullFenced& event) {
  const auto it = stores_.find(event.id);
  if (it == stores_.end() || !it->second.quarantined) return;
  for (const PageId page : it->second.pages) pages_.Free(page);
  for (const BlockHash& key : it->second.blocks) arriving_.erase(key);
  Unclaim(it->second.parent);
  stores_.erase(it);
}

void PoolCore::OnSummed(const HandoffId& id, std::vector<std::vector<uint64_t>> sums) {
  const auto it = stores_.find(id);
  if (it == stores_.end() || it->second.quarantined) return;
  const Store store = std::move(it->second);
  stores_.erase(it);
  for (const BlockHash& key : store.blocks) arriving_.erase(key);
  counters_.blocks_stored += store.blocks.size();
  // The last first, so that it is the oldest in the queue: leaves go first.
  for (size_t i = store.blocks.size(); i-- > 0;) {
    Insert(store.blocks[i], i == 0 ? store.parent : store.blocks[i - 1], store.pages[i], std::move(sums[i]));
  }
  Unclaim(store.parent);
  for (const BlockHash& key : store.blocks) WriteBehind(key, blocks_.at(key));
  DropOldSegments();
}

void PoolCore::OnHandoffEvent(const HandoffEvent& event) {
  std::visit([this](const auto& e) { On(e); }, event);
}

}  // namespace baton::pool
