#pragma once

// A running pool for one kind of KV (numeric fingerprint and layout): memory, a handoff node, and a PoolCore
// that one thread feeds. Knows no gRPC.
//
// Threads: callers' and the handoff's threads, and the helper's, only append to the loop's inbox; the loop
// alone touches the core. The inbox is bounded by its sources: calls in flight, moves, disk jobs.

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/shared_memory.h"
#include "services/kv_transfer/handoff/node.h"
#include "services/kv_transfer/pool/disk/files.h"
#include "services/kv_transfer/pool/pool_core.h"
#include "services/kv_transfer/transport/transport.h"

namespace baton::pool {

struct PoolNodeOptions {
  uint64_t memory_bytes = 0;
  uint64_t disk_bytes = 0;  // with a folder
  HandoffOptions handoff;   // the fingerprint is the node's
  absl::Duration wedge_timeout = absl::Seconds(60);
};

struct PoolStatus {
  PoolCounters counters;
  std::array<int64_t, kPageStates> pages{};
  int64_t total_pages = 0;
  int64_t disk_blocks = 0, disk_capacity_blocks = 0;
  absl::Status disk;  // why it is off
  size_t moves = 0;
  HandoffNode::Stats handoff;
};

// Makes the wire of a node whose pages lie in `pages`, which outlives it.
using WireMaker = std::function<absl::StatusOr<std::unique_ptr<Transport>>(const SharedMemory& pages)>;

class PoolNode {
 public:
  // InvalidArgument: the layout makes no sense or no page of it fits. `folder` may be null; it is taken
  // only when memory and wire are there, so that what failed can be tried again. `clock` outlives the node.
  static absl::StatusOr<std::unique_ptr<PoolNode>> Start(const PoolNodeOptions& options,
                                                         const std::string& fingerprint,
                                                         const KvLayout& layout, const WireMaker& make_wire,
                                                         std::unique_ptr<DiskFolder>* folder,
                                                         const Clock* clock);
  ~PoolNode();  // answers what is asked as Unavailable
  PoolNode(const PoolNode&) = delete;
  PoolNode& operator=(const PoolNode&) = delete;

  // Thread-safe, never block; `done` is called once, on the loop's thread or, after the end, on the caller's.
  void Fetch(FetchCall call, std::function<void(absl::StatusOr<FetchAnswer>)> done);
  void Store(StoreCall call, std::function<void(absl::StatusOr<StoreAnswer>)> done);

  KvPeer peer() const;  // where the handoff reaches it; its key changes with the process's identity
  const std::string& fingerprint() const;
  const KvLayout& layout() const;
  PoolStatus Status() const;
  absl::Status Health() const;

 private:
  struct Impl;
  explicit PoolNode(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Whether a pool could hold KV of this layout.
absl::Status CheckLayout(const KvLayout& layout);

}  // namespace baton::pool
