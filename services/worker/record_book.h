#pragma once

// What a worker keeps of streams for whoever takes them up again (DESIGN section 6, "Streams outlive
// routers"): the request as it came, and the tokens generated so far with their log-probabilities. Bounded in
// count, bytes and time; the oldest goes first, those of no open call before the others. Not thread-safe.

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/clock.h"
#include "common/ids.h"
#include "services/worker/worker_types.h"

namespace baton {

struct RecordBookOptions {
  absl::Duration retention = absl::Minutes(10);  // after a stream's last call ended; zero: nothing is kept
  size_t max_records = 1 << 16;
  size_t max_bytes = 64 << 20;  // about
};

class RecordBook {
 public:
  explicit RecordBook(const RecordBookOptions& options) : options_(options) {}

  // A call of the stream begins, which goes on after `emitted`. Tokens that are known already and agree with
  // it keep their log-probabilities. A request without a spec is not recorded.
  void Open(const StreamId& stream, Attempt attempt, RecordedRequest request,
            absl::Span<const TokenId> emitted, MonoTime now);
  // A call of this attempt takes the recorded stream over.
  void Reopen(const StreamId& stream, Attempt attempt, MonoTime now);
  // The next token; ignored if another position is due.
  void Append(const StreamId& stream, GeneratedToken token, bool scored);
  void Finish(const StreamId& stream, FinishReason reason, bool inexact);
  void SetCached(const StreamId& stream, int64_t cached_tokens);
  // No call has it open any more: its retention begins.
  void Rest(const StreamId& stream, MonoTime now);
  void Expire(MonoTime now);

  // nullptr: not here, or another's. Valid until the next call of anything else.
  const RecordedStream* Find(const StreamId& stream, const Id128& principal) const;

  size_t size() const { return entries_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    Id128 principal;
    RecordedStream stream;
    bool open = true;
    MonoTime since;  // it is open or at rest
    size_t bytes = 0;
  };
  using Order = std::tuple<bool, MonoTime, StreamId>;  // of eviction: open, since, which
  using Entries = absl::flat_hash_map<StreamId, Entry>;

  void Enter(const StreamId& stream, Entry& entry, bool open, MonoTime now);
  void Grow(Entry& entry, size_t bytes);
  void Erase(Entries::iterator it);
  void Shrink();

  const RecordBookOptions options_;
  Entries entries_;
  absl::btree_set<Order> order_;
  size_t bytes_ = 0;
};

}  // namespace baton
