#pragma once

// Which attempt of each stream a worker serves: only the highest it has seen (DESIGN section 4). Bounded in
// size and time. Not thread-safe.

#include <cstdint>
#include <utility>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/ids.h"

namespace baton {

enum class CallKind : uint8_t { kDecode = 0, kPrefill = 1, kShare = 2, kFetch = 3 };

struct AttemptTableOptions {
  absl::Duration retention = absl::Minutes(5);        // after a stream's last call ended
  absl::Duration move_retention = absl::Seconds(30);  // of ids that only Share and Fetch named: each is new
  size_t max_streams = 1 << 18;
};

class AttemptTable {
 public:
  explicit AttemptTable(const AttemptTableOptions& options) : options_(options) {}

  // Whether this attempt may be served as `kind`; remembers that it was seen, not that it is served. Aborted
  // ("superseded ...") if a higher attempt was seen, or this one was served already as this kind or as the
  // other that would own (Prefill, Share) or read (Decode, Fetch) the same handoff; ResourceExhausted if the
  // table is full of streams that may not be forgotten yet. `*raised`: older attempts are superseded by this
  // one.
  absl::Status See(const StreamId& stream, Attempt attempt, CallKind kind, MonoTime now, bool* raised);
  // The attempt, just seen, is served from now on; it stays in the table until its retention after End.
  void Begin(const StreamId& stream, Attempt attempt, CallKind kind);
  // The call of that attempt ended. With `unserved` nothing of it was ever emitted and the same attempt may
  // come again.
  void End(const StreamId& stream, Attempt attempt, CallKind kind, bool unserved, MonoTime now);
  bool Knows(const StreamId& stream) const { return streams_.contains(stream); }
  // Forgets streams whose retention is over.
  void Expire(MonoTime now);

  size_t size() const { return streams_.size(); }
  size_t serving() const { return serving_; }

 private:
  struct Entry {
    Attempt highest;
    uint8_t served = 0;       // bit per CallKind, of `highest`
    int32_t open = 0;         // calls of any attempt
    bool only_moves = false;  // named by Share and Fetch alone
    MonoTime forget_at;       // without an open call
  };
  // Starts the retention of a stream without an open call.
  void Rest(const StreamId& stream, Entry& entry, MonoTime now);

  AttemptTableOptions options_;
  absl::flat_hash_map<StreamId, Entry> streams_;
  absl::btree_set<std::pair<MonoTime, StreamId>>
      idle_;  // streams without an open call, by when they are forgotten
  size_t serving_ = 0;
};

}  // namespace baton
