#pragma once

// What the pool holds, lends and takes: its decisions, as a plain class (calls, events and `now` in, answers
// and actions out; no thread, lock, socket, file or clock). Not thread-safe; deterministic.
//
// Promises: a block is found only after its bytes were *held* (or were verified on their way from disk); a
// page that a lease, a write or a read of ours concerns is never reused before that is over; every page is in
// one class (pool_pages.h).
//
// Admission: while there is room, every block; then only one that was asked for before, that has left lately,
// or that goes on a run which is here for the greater part. Eviction: eviction.h. Disk: blocks are written
// behind; segments are dropped oldest first, and a block of such a segment that was used since it was
// written, and is in memory, is written again.

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/kv_transfer/pool/disk_books.h"
#include "services/kv_transfer/pool/eviction.h"
#include "services/kv_transfer/pool/frequency_sketch.h"
#include "services/kv_transfer/pool/pool_pages.h"
#include "services/kv_transfer/pool/pool_types.h"

namespace baton::pool {

class PoolCore {
 public:
  explicit PoolCore(const PoolCoreOptions& options);

  // InvalidArgument: a call that makes no sense. Want of room or of blocks is no error but an answer.
  absl::StatusOr<FetchAnswer> OnFetch(FetchCall call, MonoTime now);
  absl::StatusOr<StoreAnswer> OnStore(StoreCall call, MonoTime now);

  void OnHandoffEvent(const HandoffEvent& event);
  // One list of unit checksums a page, in the order of SumPages.
  void OnSummed(const HandoffId& id, std::vector<std::vector<uint64_t>> sums);
  void OnRecovered(const RecoveredLog& log);
  void OnWritten(const BlockHash& key, DiskPlace place, const absl::Status& status);
  // `sums` if the status is Ok; DataLoss: the record is no good; another status: nor is the disk.
  void OnRead(const BlockHash& key, DiskPlace place, const absl::Status& status, std::vector<uint64_t> sums);
  // The disk failed otherwise.
  void OnDiskFailed(const absl::Status& why);

  std::vector<PoolAction> TakeActions() { return std::exchange(actions_, {}); }

  const PoolCounters& counters() const { return counters_; }
  const PoolPages& pages() const { return pages_; }
  int64_t blocks_on_disk() const { return on_disk_; }
  size_t moves() const { return fetches_.size() + stores_.size(); }
  // Why the disk tier is off; Ok: it is on, or there never was one.
  const absl::Status& disk_state() const { return disk_state_; }
  bool disk_enabled() const { return books_.enabled() && disk_state_.ok(); }
  // Whether pages, blocks and moves agree. For tests and idle checks.
  absl::Status CheckIntegrity() const;

 private:
  struct Block {
    BlockHash parent;
    PageId page = kNoPage;       // in memory
    DiskPlace disk;              // empty: not on disk
    bool writing = false;        // to `disk`, which does not count before it is done
    bool used_on_disk = false;   // since it was written
    std::vector<uint64_t> sums;  // while in memory
  };
  struct Fetch {
    uint64_t serial = 0;  // never used twice, as its id may be
    std::vector<BlockHash> blocks;
    Id128 digest;
    std::vector<PageId> pages;
    std::vector<bool> pinned;  // ready, and ours
    size_t waiting = 0;        // for the disk
    bool revoked = false;
  };
  struct Store {
    std::vector<BlockHash> blocks;
    BlockHash parent;  // of the first
    std::vector<PageId> pages;
    bool quarantined = false;
  };
  struct Load {
    PageId page = kNoPage;
    struct Waiter {
      HandoffId fetch;
      uint64_t serial = 0;
      size_t index = 0;  // in its run
    };
    std::vector<Waiter> waiters;
  };

  bool Busy() const;
  size_t Promised(const FetchCall& call) const;
  absl::Status Check(const HandoffId& id, const BlockRun& run) const;
  void Begin(const FetchCall& call, Fetch& fetch, MonoTime now);
  void PinOrLoad(const HandoffId& id, Fetch& fetch, size_t index);
  void Offer(const HandoffId& id, const Fetch& fetch, size_t begin, size_t end);
  void SealIfComplete(const HandoffId& id, const Fetch& fetch);
  std::pair<size_t, size_t> Wanted(const std::vector<BlockHash>& blocks);
  void On(const OwnEnded& event);
  void On(const PullHeld& event);
  void On(const PullLost& event);
  void On(const PullFenced& event);

  std::optional<PageId> TakePage();
  // Takes the block into the memory tier, unless it is there.
  void Insert(const BlockHash& key, const BlockHash& parent, PageId page, std::vector<uint64_t> sums);
  void LeaveMemory(Block& block);
  // One child fewer in memory, or on its way there.
  void Unclaim(const BlockHash& parent);
  void LeaveDisk(const BlockHash& key);
  void EraseIfNowhere(const BlockHash& key);
  void WriteBehind(const BlockHash& key, Block& block);
  void DropOldSegments();
  void DiskOff(const absl::Status& why);

  const PoolCoreOptions options_;
  PoolPages pages_;
  EvictionQueue queue_;
  FrequencySketch sketch_;
  DiskBooks books_;
  absl::Status disk_state_;
  PoolCounters counters_;
  int64_t on_disk_ = 0;
  size_t writes_ = 0;
  absl::flat_hash_map<BlockHash, Block> blocks_;
  absl::flat_hash_map<BlockHash, uint32_t> children_;  // of a block, in memory; the block may be anywhere
  absl::flat_hash_set<BlockHash> arriving_;            // blocks of stores
  absl::flat_hash_map<BlockHash, Load> loads_;
  uint64_t last_fetch_ = 0;
  absl::flat_hash_map<HandoffId, Fetch> fetches_;
  absl::flat_hash_map<HandoffId, Store> stores_;
  std::vector<PoolAction> actions_;
};

}  // namespace baton::pool
