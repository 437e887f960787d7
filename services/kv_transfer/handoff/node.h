#pragma once

// A process's end of every handoff: one thread that feeds the owner and reader decision classes with wire
// messages, commands and time, and carries out what they decide.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/kv_transfer/handoff/types.h"
#include "services/kv_transfer/transport/transport.h"

namespace baton {

struct HandoffOptions {
  // Of this process across its lives: its new epoch ends what the old one read. No two processes may share
  // one. Empty: the wire's endpoint, unless other hosts may have the same (a wildcard or loopback address);
  // then leases of an old life expire.
  std::string name;
  std::string fingerprint;  // of our KV; peers with another are refused
  std::string model;        // what our KV means; never given to or taken from another, `inexact` or not
  KvShard shard;            // what our pools keep of the model; empty: all
  bool inexact = false;     // KV of another fingerprint or dtype is given and taken, and PullHeld says so
  absl::Duration lease = absl::Seconds(5);  // an owner's lease, renewed by its reader
  absl::Duration fence_timeout =
      absl::Seconds(5);  // no fence within it: Healthy() turns false and the rank restarts
  size_t max_leases = 4096;
  size_t max_pull_bytes_in_flight = 32 << 20;  // per reader
};

class HandoffNode {
 public:
  // `memory`, `clock` and `sink` outlive the node. `wire` carries the messages.
  static absl::StatusOr<std::unique_ptr<HandoffNode>> Start(const HandoffOptions& options, Epoch epoch,
                                                            KvMemory* memory, std::unique_ptr<Transport> wire,
                                                            const Clock* clock, HandoffEventSink* sink);
  ~HandoffNode();  // revokes what it owns, gives up what it reads, joins the thread
  HandoffNode(const HandoffNode&) = delete;
  HandoffNode& operator=(const HandoffNode&) = delete;

  // Thread-safe, never blocks; the queue is bounded: ResourceExhausted.
  absl::Status Submit(HandoffCommand command);

  // For KvSource: where peers reach this node. Constant.
  const std::string& endpoint() const;
  // For KvPeer: what they know it by. Changes with the process's identity (transport.h). Thread-safe.
  const std::string& public_key() const;

  // Counters since start, and two gauges; as of the thread's last round. Thread-safe.
  struct Stats {
    uint64_t owned_held = 0, owned_lost = 0, pulled_held = 0, pulled_lost = 0;
    uint64_t pulls_refused = 0, pulls_revoked = 0, pulls_timed_out = 0;  // among pulled_lost
    uint64_t bytes_in = 0, bytes_out = 0, checksum_failures = 0, malformed = 0, refused = 0;
    uint64_t denied = 0;             // connections turned away: their key is not listed, or they have none
    uint64_t owners_gone = 0;        // connections to owners that broke for good while pulls went over them
    uint64_t leases = 0, pulls = 0;  // gauges
  };
  Stats stats() const;
  std::vector<WireLink> links() const;
  bool Healthy() const;
  // When the thread last came round; it does at least every second unless it is wedged. Thread-safe.
  MonoTime LastRound() const;

 private:
  struct Impl;
  explicit HandoffNode(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
