#pragma once

// ClusterPrefixes behind a lock of its own, which placements share and Watch events take for a part at a
// time. Thread-safe; calls nothing that locks.

#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "services/router/policy/cluster_prefixes.h"
#include "services/router/policy/worker_table.h"

namespace baton::router {

// What ranks hold of one prompt, in the order of the ranks asked for.
struct HeldPrefixes {
  std::vector<uint32_t> tokens;
  std::vector<uint64_t> blocks;
};

class PrefixBoard {
 public:
  // The part of a report that this is about. `watch` grows with each Watch call of a worker: what comes of an
  // earlier call after a later one is dropped.
  void Report(uint64_t worker, uint64_t watch, const WorkerReport& report);
  // Forgets all workers up to the number `newest` but these, which are sorted.
  void Retain(absl::Span<const uint64_t> workers, uint64_t newest);
  void Placed(absl::Span<const RankRef> ranks, const PromptBlocks& prompt, MonoTime now);
  // Forgets what is too old, and does some of the work that gone workers left.
  void Tick(MonoTime now);

  PromptBlocks Hash(const Id128& salt, absl::Span<const TokenId> tokens) const;
  HeldPrefixes Match(const PromptBlocks& prompt, absl::Span<const RankRef> ranks) const;
  PrefixCounts counts() const;

 private:
  mutable absl::Mutex mutex_;
  ClusterPrefixes prefixes_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, uint64_t> watch_of_ ABSL_GUARDED_BY(mutex_);  // by worker
};

}  // namespace baton::router
