#pragma once

// What a rank's prefix cache holds and how that changed, for any number of readers (Watch calls), each at its
// own pace: first all blocks, then the changes, or all blocks again if a reader fell too far behind. Blocks
// are told of in the order in which they came, which is mostly that of prompts.
// Thread-safe.

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "common/block_hash.h"

namespace baton {

class BlockJournal {
 public:
  // So many changes are remembered for readers.
  explicit BlockJournal(size_t capacity = 32768) : capacity_(capacity) {}

  void Add(absl::Span<const BlockChange> changes);

  // How far a reader is. Kept by the reader, from its first Read on.
  struct Cursor {
    bool begun = false;
    uint64_t next = 0;              // change to be told
    std::vector<BlockHash> before;  // blocks of the beginning that are still to be told, the next one last
  };
  struct Part {
    bool restart = false;                    // what this reader was told before is void
    std::vector<BlockHash> stored, evicted;  // each block once at most
    bool more = false;                       // there is more to read now
  };
  // What comes next for a reader, of `most` blocks at most.
  Part Read(Cursor* cursor, size_t most) const;

 private:
  const size_t capacity_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<BlockHash, uint64_t> held_ ABSL_GUARDED_BY(mutex_);  // which change brought it
  std::deque<BlockChange> changes_ ABSL_GUARDED_BY(mutex_);
  uint64_t first_ ABSL_GUARDED_BY(mutex_) = 0;  // number of changes_.front()
};

}  // namespace baton
