#pragma once

// Options, counters, states and actions of HandoffReader (reader.h).

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "services/kv_transfer/handoff/messages.h"
#include "services/kv_transfer/handoff/types.h"

namespace baton {

// kHeld and kLost are final. kFencing: lost has been reported, and reads are still under way.
enum class ReaderState { kOpening, kPulling, kConfirming, kFencing, kHeld, kLost };
inline constexpr size_t kReaderStates = 6;

struct ReaderOptions {
  Epoch epoch;
  std::string
      name;  // of this process across its lives: a new epoch under it ends the old one's leases. Empty: none
  std::string fingerprint, model;
  KvLayout layout;
  KvShard shard;               // what our pools keep of the model; empty: all
  bool inexact = false;        // KV of another fingerprint or dtype is taken, and said to be so
  std::vector<int64_t> pages;  // of each rank
  absl::Duration retry_min = absl::Milliseconds(1);  // after `retry`
  absl::Duration retry_max = absl::Milliseconds(20);
  absl::Duration resend_min = absl::Milliseconds(50);  // without an answer
  absl::Duration resend_max = absl::Seconds(1);
  absl::Duration read_timeout = absl::Seconds(2);  // of one read, before it is aborted and posted again
  absl::Duration silence = absl::Seconds(5);  // of the owner while only it can go on: opening, confirming
  absl::Duration fence_timeout = absl::Seconds(5);
  absl::Duration busy_wait = absl::Milliseconds(1);  // after the wire said busy
  size_t max_pulls = 4096;
  size_t max_bytes_in_flight = 32 << 20;  // of all pulls together; one read may be larger
  size_t max_reads_in_flight = 128;
  size_t max_read_bytes = 1 << 20;  // of one read, if a layer of an atom is not larger
  bool wire_verifies = false;       // reads carry their checks and end as DataLoss if one fails
  size_t max_offers = 16384;        // of a pull
  // Where KV of another dtype lands to be converted: slots one after the other. None: it is refused.
  RegionId staging_region = 0;
  size_t staging_slots = 0, staging_slot_bytes = 0;
};

struct ReaderCounters {
  uint64_t begun = 0, held = 0, lost = 0, refused = 0, revoked = 0, timed_out = 0, cancelled = 0;
  uint64_t reads = 0, reads_failed = 0, reads_aborted = 0, bytes_read = 0;
  uint64_t checksum_failures = 0;
  uint64_t resent = 0;
  uint64_t peers_closed = 0, fences_late = 0, owners_gone = 0;
  uint64_t stale = 0;      // messages of no pull of ours, of another lease or epoch; repeated offers
  uint64_t malformed = 0;  // verbs that no owner sends, or with impossible content
  uint64_t ignored_commands = 0;
};

// Read these bytes. The answer is OnReadDone, once.
struct PostPull {
  PeerId peer = 0;
  uint64_t tag = 0;  // never used twice
  v1::Handoff pull;  // the grant
  std::string remote_key;
  std::vector<CopyOp> ops;
  std::vector<RangeCheck> checks;  // if the wire verifies
};
struct AbortPull {
  uint64_t tag = 0;
};
// Checksum the stored bytes. The answer is OnVerified.
struct VerifyUnits {
  uint64_t tag = 0;
  std::vector<UnitCheck> units;
};
// Store these bytes, which were verified, as another dtype; at once, before any later action.
struct ConvertUnits {
  KvDtype from = KvDtype::kF16, to = KvDtype::kF16;
  std::vector<std::pair<ByteRange, ByteRange>> units;  // from, to; as many elements in each
};
// Aborting did not end the reads in half the fence timeout: close the connection, so that they complete as
// Cancelled. OnReconnected follows if another pull needs one.
struct ClosePeer {
  PeerId peer = 0;
};
// Reads of `id` outlived the fence timeout: the process cannot vouch for its memory any more and must
// restart.
struct FenceOverdue {
  HandoffId id;
};

using ReaderAction = std::variant<WireSend, PostPull, AbortPull, VerifyUnits, ConvertUnits, ClosePeer,
                                  FenceOverdue, PullHeld, PullLost, PullFenced>;
using ReaderActions = std::vector<ReaderAction>;

}  // namespace baton
