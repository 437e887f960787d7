#pragma once

// A PoolCore with the handoff and the disk played by the test: moves end as they are told to, files keep what
// was written unless they are told otherwise.

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "services/kv_transfer/pool/pool_core.h"

namespace baton::pool {

inline constexpr KvLayout kWorldLayout{.layers = 1, .kv_heads = 1, .head_dim = 8};

// Blocks of a prompt: `shared` of those of every prompt of the same `family`, then its own.
BlockRun MakeRun(uint64_t prompt, size_t blocks, uint64_t family = 0, size_t shared = 0);

class CoreWorld {
 public:
  explicit CoreWorld(PoolCoreOptions options);

  FetchAnswer Fetch(const BlockRun& run, uint32_t skip = 0, uint32_t least = 1);
  StoreAnswer Store(const BlockRun& run);
  // Stores, held and visible, until nothing more is wanted; blocks that were.
  uint32_t StoreHeld(const BlockRun& run);
  // Fetch to its end; blocks that came.
  uint32_t FetchHeld(const BlockRun& run, uint32_t skip = 0);

  // Carries out what the core wants: sums and disk jobs at once.
  void Settle();
  void End(const HandoffId& id, bool held);
  void Lose(const HandoffId& id, bool fenced);
  void Fence(const HandoffId& id);

  PoolCore& core() { return core_; }
  const HandoffId& last() const { return last_; }
  int64_t pages(PageState state) const { return core_.pages().count(state); }

  struct Granted {
    int64_t tokens = 0, offered = 0;
    bool sealed = false, revoked = false;
    Id128 digest;
  };
  std::map<HandoffId, Granted> granted;   // fetches
  std::map<HandoffId, PullBegin> pulled;  // stores
  std::map<DiskPlace, BlockHash> disk;
  std::deque<PoolAction> disk_jobs;  // of which Settle does all, unless `hold_disk`
  bool hold_disk = false;
  absl::Status write_status, read_status;
  std::vector<uint64_t> dropped;

  void DoDiskJob();

 private:
  void Do(MoveKv& action);
  void Do(SumPages& action);
  template <typename DiskJob>
  void Do(DiskJob& job) {
    disk_jobs.emplace_back(std::move(job));
  }

  PoolCore core_;
  HandoffId last_;
  uint64_t next_id_ = 1;
};

}  // namespace baton::pool
