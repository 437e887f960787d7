#pragma once

// Whether a prompt's leading blocks come from the node's pool or are computed: bytes / bandwidth + mu <=
// tokens / rate, all three measured as it goes. A decision class. Not thread-safe.

#include <cstdint>
#include <list>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/ids.h"

namespace baton {

// Seconds of a move by its bytes, and of computing by its tokens: the first by a line fitted to what was
// measured (each measurement counts nine tenths of the one after it), the second by a moving average.
class TransferCostModel {
 public:
  absl::Duration Transfer(int64_t bytes) const;
  absl::Duration Recompute(int64_t tokens) const;
  void Moved(int64_t bytes, absl::Duration took);
  void Computed(int64_t tokens, absl::Duration took);

  double bytes_per_second() const;
  absl::Duration mu() const;  // of a move, whatever its size
  double tokens_per_second() const { return rate_; }

 private:
  struct Line {
    double slope, intercept;  // seconds per MiB; seconds
  };
  Line Fit() const;

  // Sums over weighted measurements: of x MiB, y seconds.
  double w_ = 0, wx_ = 0, wy_ = 0, wxx_ = 0, wxy_ = 0;
  double rate_ = 1000;
  bool rate_known_ = false;
};

// The blocks that a rank's prefix cache had lately, as far as can be known from outside: so many as it has
// pages.
class RecentBlocks {
 public:
  explicit RecentBlocks(int64_t capacity) : capacity_(capacity) {}
  size_t Leading(absl::Span<const BlockHash> blocks) const;
  void Use(absl::Span<const BlockHash> blocks);

 private:
  const int64_t capacity_;
  std::list<BlockHash> order_;  // newest first
  absl::flat_hash_map<BlockHash, std::list<BlockHash>::iterator> places_;
};

struct PoolPlannerOptions {
  int64_t block_tokens = 16;
  int64_t block_bytes = 0;
  int64_t cache_blocks = 0;  // of a rank
  uint32_t ranks = 1;
  int probe_every = 32;  // decisions against the pool, after which it is tried all the same
};

// Since start.
struct PoolPlannerCounters {
  uint64_t local = 0;      // the rank probably has it all
  uint64_t too_short = 0;  // not worth a move, whatever the pool has
  uint64_t probes = 0;     // tried although it is not worth it, to measure again
  uint64_t missed = 0;     // asked, and the pool has not enough
  uint64_t fetched = 0, lost = 0;
  uint64_t failed = 0;              // the pool did not answer, or was not asked since it does not
  absl::Duration fetch_regret;      // moved, and computing would have been faster
  absl::Duration recompute_regret;  // computed, and moving what the pool had would have been faster
  absl::Duration guessed_moves, guessed_computing;  // of prompts that were fetched, before
  absl::Duration moves;                             // and how long it took
  absl::Duration saved;  // moved, against the guess of what computing would have taken
  uint64_t tokens_fetched = 0;
};

class PoolPlanner {
 public:
  explicit PoolPlanner(const PoolPlannerOptions& options);

  // What became of one prompt; kept by the caller and given back at each step.
  struct Plan {
    bool ask = false;
    uint32_t rank = 0;
    uint32_t skip = 0;                               // blocks that the rank has
    uint32_t least = 1;                              // fewer beyond these are not worth a move
    uint32_t found = 0;                              // in the pool
    absl::Duration guess_transfer, guess_recompute;  // of what the pool offers beyond `skip`
    bool fetched = false;
  };
  Plan Decide(uint32_t rank, absl::Span<const BlockHash> blocks);
  // The pool answered that it has `found` blocks and offers `offered`; 0: compute.
  void Answered(Plan& plan, uint32_t found, uint32_t offered);
  void Unanswered(const Plan&) { ++counters_.failed; }
  // The move is over: `tokens` more are in the rank's cache now; 0: lost.
  void Fetched(Plan& plan, int64_t tokens, absl::Duration took);
  // The first token is there; `computed` tokens of the prompt were not in the cache.
  void Computed(const Plan& plan, absl::Span<const BlockHash> blocks, int64_t computed, absl::Duration took);
  // How long a move may take before the prompt is computed after all.
  absl::Duration Patience(const Plan& plan) const;

  // Blocks from which on a move is worth it; more than any prompt has: never.
  uint32_t LeastBlocks() const;
  const TransferCostModel& model() const { return model_; }
  const PoolPlannerCounters& counters() const { return counters_; }

 private:
  const PoolPlannerOptions options_;
  TransferCostModel model_;
  PoolPlannerCounters counters_;
  std::vector<RecentBlocks> recent_;  // by rank
  int refused_ = 0;                   // decisions since the last probe
};

}  // namespace baton
