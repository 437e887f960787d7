#pragma once

// The thread for what would keep the pool's loop waiting: the disk tier's files, and checksums of pages that
// arrived. Takes actions in order and reports each. Knows no policy.

#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <variant>
#include <vector>

#include "common/bounded_queue.h"
#include "services/kv_transfer/handoff/types.h"
#include "services/kv_transfer/pool/disk/disk_log.h"
#include "services/kv_transfer/pool/pool_types.h"

namespace baton::pool {

struct Recovered {
  RecoveredLog log;
};
struct Summed {
  HandoffId id;
  std::vector<std::vector<uint64_t>> sums;
};
struct Written {
  BlockHash key;
  DiskPlace place;
  absl::Status status;
};
struct ReadDone {
  BlockHash key;
  DiskPlace place;
  absl::Status status;
  std::vector<uint64_t> sums;
};
// Recovery failed, or a segment could not be sealed or dropped.
struct DiskFailed {
  absl::Status status;
};
using HelperReport = std::variant<Recovered, Summed, Written, ReadDone, DiskFailed>;
using HelperJob = std::variant<SumPages, WriteBlock, ReadBlock, SealSegment, DropSegment>;

class Helper {
 public:
  // `memory` outlives the helper. With a `log`, first recovers it. `report` is called on the helper's thread.
  Helper(KvMemory* memory, std::optional<DiskLog> log, uint64_t max_segments,
         std::function<void(HelperReport)> report);
  ~Helper();  // what is queued is done first, but for reads
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  // The pages of a job stay as they are until its report. Thread-safe.
  void Do(HelperJob job);

 private:
  void Run();
  void Do(SumPages& job);
  void Do(WriteBlock& job);
  void Do(ReadBlock& job);
  void Do(SealSegment& job);
  void Do(DropSegment& job);
  absl::Span<std::byte> Page(PageId page) const { return memory_->Page(0, page); }

  KvMemory* const memory_;
  std::optional<DiskLog> log_;
  const uint64_t max_segments_;
  const std::function<void(HelperReport)> report_;
  BoundedQueue<HelperJob> jobs_;
  std::thread thread_;
};

}  // namespace baton::pool
