#pragma once

// Ranks for tests of placement: alike, healthy, idle.

#include "services/router/policy/placement.h"

namespace baton::router {

inline RankView Rank(uint64_t worker, WorkerRole role, uint64_t pages = 1000) {
  return {.ref = {worker, 0},
          .role = role,
          .healthy = true,
          .fingerprint = "a",
          .page_tokens = 16,
          .total_pages = pages,
          .free_pages = pages};
}

}  // namespace baton::router
