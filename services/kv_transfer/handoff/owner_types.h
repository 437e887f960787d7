#pragma once

// Options, counters, states and actions of HandoffOwner (owner.h).

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "services/kv_transfer/handoff/messages.h"
#include "services/kv_transfer/handoff/types.h"

namespace baton {

// kHeld and kLost are final: the record is gone and its verdict remembered.
enum class OwnerState { kAwaiting, kLeased, kSealed, kHeld, kLost };
inline constexpr size_t kOwnerStates = 5;

struct OwnerOptions {
  Epoch epoch;
  std::string fingerprint, model;
  KvLayout layout;
  KvShard shard;                         // what our pools keep of the model; empty: all
  bool inexact = false;                  // readers of another fingerprint are served, if they want that too
  std::vector<int64_t> pages;            // of each rank
  std::vector<std::string> remote_keys;  // of each rank's region; may be shorter: empty
  std::function<Id128()> new_secret;     // unguessable
  absl::Duration lease = absl::Seconds(5);
  absl::Duration open_within = absl::Seconds(5);   // of OwnBegin, or the record ends
  absl::Duration keep_pending = absl::Seconds(1);  // an Open that came before its OwnBegin
  absl::Duration max_hard = absl::Minutes(30);     // no lease is granted for longer
  absl::Duration resend_min = absl::Milliseconds(50);
  absl::Duration resend_max = absl::Seconds(1);
  size_t max_leases = 4096;     // records
  size_t max_verdicts = 65536;  // full: Opens are answered `retry`
  size_t max_pending = 4096;    // full: the Open is answered `retry` and not remembered
  size_t max_readers =
      1024;  // names whose epochs are remembered; full: the least recently granted is forgotten
  size_t max_offers = 8192;         // of a lease
  size_t offer_window = 32;         // offers sent and not acknowledged
  size_t max_offer_units = 16384;   // checksums of one Offer, if a layer of an atom has no more
  size_t max_read_bytes = 1 << 20;  // of one Pull, if a layer of an atom has no more
};

struct OwnerCounters {
  uint64_t opened = 0, held = 0, lost = 0;
  uint64_t refused = 0;  // Opens refused for good
  uint64_t retried = 0;  // Opens answered `retry`
  uint64_t expired = 0, revoked = 0, released = 0, superseded = 0, unopened = 0;
  uint64_t pulls = 0, pulls_refused = 0, bytes_served = 0;
  uint64_t resent = 0, verdicts_repeated = 0;
  uint64_t stale = 0;             // messages of an old epoch, an ended lease, or with a wrong secret
  uint64_t malformed = 0;         // verbs that no reader sends, or with impossible content
  uint64_t ignored_commands = 0;  // offers, seals and revokes of records that have ended
};

using OwnerAction = std::variant<WireSend, OwnEnded>;
using OwnerActions = std::vector<OwnerAction>;

}  // namespace baton
