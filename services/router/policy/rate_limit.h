#pragma once

// How much a key may ask for: requests and tokens a minute, each a token bucket that holds one minute's worth
// and starts full (Turner: "New directions in communications", 1986). Where several routers serve a key, each
// gives out its share: the limit divided by the number of live routers.
//
// A request that is larger than a whole bucket passes when the bucket is full, and the next ones wait for the
// debt. Decision class: not thread-safe.

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/clock.h"

namespace baton::router {

struct RateLimits {  // 0: without limit
  uint64_t requests_per_minute = 0;
  uint64_t tokens_per_minute = 0;
  bool operator==(const RateLimits&) const = default;
};

class RateLimiter {
 public:
  // At least 1; of all buckets, from now on.
  void SetRouters(uint64_t routers) { routers_ = routers > 0 ? routers : 1; }

  // Zero: taken. Otherwise nothing was, and the same request may pass after so long.
  absl::Duration Take(uint64_t key, const RateLimits& limits, uint64_t tokens, MonoTime now);
  // What was taken and not used; negative: used and not taken.
  void GiveBack(uint64_t key, double requests, double tokens);
  // Drops what is known of keys that have not asked for ten minutes.
  void Forget(MonoTime now);

  uint64_t keys() const { return keys_.size(); }

 private:
  struct Bucket {
    double level = 0, size = 0;
    void Refill(double size_now, absl::Duration passed);
    absl::Duration Wait(double want) const;
    void Add(double more);
  };
  struct Key {
    Bucket requests, tokens;
    MonoTime last = absl::InfinitePast();
  };
  uint64_t routers_ = 1;
  absl::flat_hash_map<uint64_t, Key> keys_;
};

}  // namespace baton::router
