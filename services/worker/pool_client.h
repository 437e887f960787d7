#pragma once

// A worker's calls to its node's pool (proto/baton/pool.proto), on one thread of its own: each with a
// deadline, behind a circuit breaker, so that a pool that is gone or hangs costs a fraction of a second now
// and then.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/kv_layout.h"
#include "services/kv_transfer/handoff/types.h"

namespace baton {

struct PoolClientOptions {
  std::string endpoint;  // HOST:PORT
  std::string fingerprint;
  KvLayout layout;
  std::function<KvPeer()> self;  // where the handoff reaches this worker, with the key of the moment
  absl::Duration call_time = absl::Milliseconds(250);  // waiting for its turn included
  absl::Duration attach_time = absl::Seconds(10);      // nobody waits for it
  size_t max_queued = 64;
};

// The prompt's leading blocks, by name, and the TokenDigest up to the end of each.
struct PoolRun {
  std::vector<BlockHash> blocks;
  std::vector<Id128> digests;
};
struct PoolAsk {
  Id128 handoff;
  uint32_t rank = 0;
  PoolRun run;
  uint32_t skip = 0, least = 1;
  absl::Duration timeout;  // of the move
};
struct PoolFound {
  KvPeer pool;
  uint32_t found = 0, blocks = 0, from_disk = 0;
};
struct PoolOffer {
  Id128 handoff;
  uint32_t rank = 0;
  PoolRun run;
  absl::Duration timeout;
};
struct PoolWants {
  KvPeer pool;
  uint32_t first = 0, blocks = 0;
};

class PoolClient {
 public:
  // `clock` outlives the client.
  PoolClient(PoolClientOptions options, const Clock* clock);
  ~PoolClient();  // calls under way and waiting end as Cancelled
  PoolClient(const PoolClient&) = delete;
  PoolClient& operator=(const PoolClient&) = delete;

  // Thread-safe, never block. `done` is called once: on the client's thread, or at once, as Unavailable,
  // while there is no pool to ask.
  void Fetch(PoolAsk ask, std::function<void(absl::StatusOr<PoolFound>)> done);
  void Store(PoolOffer offer, std::function<void(absl::StatusOr<PoolWants>)> done);

  struct Stats {
    bool attached = false;
    uint64_t calls = 0, failures = 0, not_asked = 0;
  };
  Stats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
