#pragma once

// Which record of which segment holds which block, and where the next one goes. Segments are filled one after
// the other and dropped whole, oldest first. Decides only; DiskLog acts. Not thread-safe.

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "services/kv_transfer/pool/disk/disk_log.h"

namespace baton::pool {

class DiskBooks {
 public:
  // `segments` 0: there is no disk tier.
  DiskBooks(int64_t slots_per_segment, int64_t segments)
      : slots_(slots_per_segment), most_segments_(segments) {}

  bool enabled() const { return most_segments_ > 0; }
  // A write would not cost an older segment.
  bool HasRoom() const;
  int64_t segments() const { return static_cast<int64_t>(segments_.size()); }

  void Recover(const RecoveredLog& log);

  struct Placed {
    DiskPlace place;
    uint64_t sequence = 0;
    std::optional<uint64_t> sealed;  // the segment before is full
  };
  Placed Place(const BlockHash& key);

  struct Dropped {
    uint64_t segment = 0;
    std::vector<BlockHash> keys;  // of all that was ever written there
  };
  // The oldest segment, if there are too many.
  std::optional<Dropped> DropOldest();

 private:
  struct Segment {
    uint64_t number = 0;
    std::vector<BlockHash> keys;
  };
  const int64_t slots_, most_segments_;
  std::deque<Segment> segments_;  // oldest first; the last is being filled if open_
  bool open_ = false;
  uint64_t next_segment_ = 1, next_sequence_ = 1;
};

}  // namespace baton::pool
