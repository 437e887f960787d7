#pragma once

// Checksums of one rank's KV units (DESIGN section 5): computed once, on the engine's thread, when an atom
// fills (the tail: when the prompt ends), and reused when its page is found in the prefix cache again, so
// that bytes which changed in between are noticed by whoever reads them. An entry is valid only for the block
// of tokens that it was computed for.

#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "common/ids.h"
#include "engine/model/runner.h"
#include "engine/types.h"

namespace baton {

class KvChecksums {
 public:
  // `runner` outlives this.
  explicit KvChecksums(ModelRunner* runner);

  // Before the id's PrefillCommand or ShareCommand is submitted, and after its last event. Thread-safe.
  void Begin(SeqId id, const std::vector<TokenId>& tokens, const Id128& cache_salt);
  void End(SeqId id);

  // Of the units that Offerable() of the event names, in the order of OwnOffer. On the engine's thread, while
  // it passes.
  std::vector<uint64_t> Computed(const ComputedEvent& event);
  // Likewise of all that is shared.
  std::vector<uint64_t> Shared(const SharedEvent& event);

 private:
  struct Plan {
    int64_t tokens = 0;
    std::vector<BlockHash> blocks;  // of the full pages
  };
  struct PageEntry {
    BlockHash block;             // empty: none
    std::vector<uint64_t> sums;  // atom, layer, unit
    std::vector<bool> known;     // atom, layer
  };
  uint64_t Sum(PageId page, int atom, int layer, int unit, int64_t rows);
  PageEntry& Entry(PageId page, const BlockHash& block);

  ModelRunner* const runner_;
  const KvLayout layout_;
  std::vector<PageEntry> pages_;  // touched by the engine's thread only
  absl::Mutex mutex_;
  absl::flat_hash_map<SeqId, Plan> plans_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace baton
