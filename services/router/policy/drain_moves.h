#pragma once

// Which streams are moved away from ranks that drain, and where to. A decision class: not thread-safe, no
// clock. At most `max_moving` at a time; each goes to the least loaded decode rank of an equal fingerprint at
// another worker. A move that failed is tried again after a growing pause, a few times; what cannot be moved
// finishes where it is, within the worker's grace.

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/clock.h"
#include "common/ids.h"
#include "services/router/policy/placement.h"

namespace baton::router {

struct DrainMovesConfig {
  uint32_t max_moving = 8;
  uint32_t max_tries = 8;                          // of one stream
  absl::Duration pause = absl::Milliseconds(200);  // after the n-th failure: n times this
};

struct StreamAt {
  StreamId id;
  RankRef at;
  bool movable = true;  // now
};

struct DrainMove {
  StreamId id;
  RankRef target;
};

class DrainMoves {
 public:
  explicit DrainMoves(const DrainMovesConfig& config) : config_(config) {}

  // `streams`: all that are open; what failed is forgotten of those that are not. The moves to begin; each is
  // answered by one Ended.
  std::vector<DrainMove> Plan(absl::Span<const StreamAt> streams, absl::Span<const RankView> ranks,
                              MonoTime now);
  void Ended(const StreamId& id, const absl::Status& status, MonoTime now);

  size_t moving() const { return moving_; }

 private:
  struct Try {
    bool moving = false;
    uint32_t failures = 0;
    MonoTime not_before = absl::InfinitePast();
  };
  DrainMovesConfig config_;
  std::map<StreamId, Try> tries_;  // of streams that were seen at a draining rank
  size_t moving_ = 0;
};

}  // namespace baton::router
