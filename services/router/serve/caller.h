#pragma once

// Who sends a request, as far as the router cares. Without API keys everybody is the same nobody.

#include <cstdint>
#include <string>

#include "common/ids.h"
#include "services/router/policy/fair_queue.h"
#include "services/router/policy/rate_limit.h"

namespace baton::router {

inline constexpr int kMostUrgent = 10;  // above any key's priority

struct Caller {
  Id128 id;            // of its key; empty: nobody's
  std::string tenant;  // with whom it shares cached prefixes; empty: with all that have none
  int priority = 0;
  FairFlow flow;
  RateLimits limits;
  bool admin = false;
};

}  // namespace baton::router
