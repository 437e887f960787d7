#pragma once

// What a placement is decided from, and what it is (DESIGN sections 3 and 4); policy.h decides.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/ids.h"

namespace baton::router {

// A rank of a worker. `worker` is a number this router gave to one life (epoch) of one worker and never gives
// again.
struct RankRef {
  uint64_t worker = 0;
  uint32_t rank = 0;
  auto operator<=>(const RankRef&) const = default;
};

enum class WorkerRole { kUnknown, kPrefill, kDecode };

struct RankView {
  RankRef ref;
  WorkerRole role = WorkerRole::kUnknown;
  bool healthy = false;
  bool draining = false;
  // Has fallen silent, or calls to it failed: takes decode only if no other is left, prefill not at all.
  bool suspect = false;
  std::string fingerprint;
  bool accepts_inexact = false;  // KV of other fingerprints, given and taken
  std::string model_id;          // but only of this; empty: unknown
  uint64_t page_tokens = 0;      // 0: unknown, then pages are not judged
  uint64_t total_pages = 0;
  uint64_t max_context = 0;  // 0: unknown
  // As last reported.
  uint64_t running = 0;
  uint64_t waiting = 0;
  uint64_t backlog_tokens = 0;
  uint64_t context_tokens = 0;  // of all running sequences
  uint64_t free_pages = 0;      // free or evictable
  // This router's own: now in flight, and of that, placed since the last report.
  uint64_t own_streams = 0;
  uint64_t own_tokens = 0;
  uint64_t fresh_streams = 0;
  uint64_t fresh_tokens = 0;
  uint64_t fresh_context = 0;  // tokens of the prompts of fresh_streams, wherever they are computed
  uint64_t placed = 0;         // ever

  uint64_t Streams() const;  // max(own, reported + fresh)
  uint64_t Backlog() const;  // the same, of prompt tokens not yet computed
};

struct PlacementConfig {
  uint32_t direct_below_tokens =
      64;  // uncached prompts shorter than this are computed by the decode rank itself
};

struct PlacementRequest {
  uint32_t prompt_tokens = 0;  // all that is to be computed: prompt, and on a replay what was emitted
  uint32_t cached_tokens = 0;  // known to be held by decode ranks
  uint32_t max_new_tokens = 1;
  uint32_t expected_new_tokens = 0;  // of an answer like this one; 0: unknown
  absl::Duration ttft_slo = absl::InfiniteDuration();
  absl::Duration itl_slo = absl::InfiniteDuration();
  std::vector<RankRef> avoid;  // already tried: used again only if nothing else is left
  std::string fingerprint;     // of a replay: no other rank may go on with the stream; empty: any
};

// Why it is so, for logs and tests; what a score means is the policy's own.
struct PlacementReasons {
  double decode_score = 0;
  double prefill_score = 0;       // 0 without a prefill rank
  uint32_t held_tokens = 0;       // by the rank that computes the prompt
  uint32_t best_held_tokens = 0;  // by any rank that might have
};

struct Placement {
  RankRef decode;
  std::optional<RankRef> prefill;  // absent: decode computes the prompt
  bool inexact = false;            // the two compute other numbers
  PlacementReasons reasons{};
};

}  // namespace baton::router
