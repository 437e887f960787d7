#pragma once

// Which prefix blocks ranks are thought to hold because prompts were placed on them: all there is of workers
// that publish none, and of others what they have not told of yet. Bounded by rank, forgotten with age, the
// oldest first. A decision class, not thread-safe; Match calls may run together.

#include <cstdint>
#include <deque>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/clock.h"
#include "services/router/policy/prefix_index.h"

namespace baton::router {

class AssumedPrefixes {
 public:
  using Holder = PrefixIndex::Holder;
  struct Limits {
    size_t blocks = 16384;
    absl::Duration lifetime = absl::Seconds(120);
  };

  std::optional<Holder> AddHolder(const Limits& limits);
  void Retire(Holder holder);
  // The holder has or will soon have all of `chain`. What is more than the limits, of the beginning, counts.
  void Placed(Holder holder, absl::Span<const BlockHash> chain, MonoTime now);
  void Expire(MonoTime now);
  const PrefixIndex& index() const { return index_; }
  bool Sweep() { return index_.Sweep(); }

 private:
  struct Placing {
    BlockHash block;
    uint64_t number = 0;
    MonoTime at{};
  };
  struct Rank {
    Limits limits;
    uint64_t placings = 0;
    std::deque<Placing> order;                      // oldest first; of a block placed again, the last counts
    absl::flat_hash_map<BlockHash, uint64_t> last;  // its number
  };
  void Forget(Holder holder, Rank* rank);  // the oldest

  PrefixIndex index_;
  absl::flat_hash_map<Holder, Rank> ranks_;
};

}  // namespace baton::router
