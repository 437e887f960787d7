#pragma once

// A part of what a rank tells of its prefix cache (proto BlockChanges).

#include <cstdint>
#include <vector>

#include "common/ids.h"

namespace baton::router {

// Each block is in one of the lists at most.
struct PrefixChange {
  uint32_t rank = 0;
  bool restart = false;  // everything told before is void
  std::vector<BlockHash> stored, evicted;
};

}  // namespace baton::router
