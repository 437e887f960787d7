#pragma once

// What a worker tells the handoff and hears from it, as plain data. The protocol itself: docs/handoff.md,
// handoff.proto. Tokens here are positions in a sequence; pages[i] holds tokens [i * PageTokens, (i + 1) *
// PageTokens) in a rank's pool.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/kv_layout.h"
#include "services/kv_transfer/handoff/legs.h"

namespace baton {

// Where a reader finds an owner.
struct KvPeer {
  std::string endpoint;
  std::string curve_public_key;  // empty: no CURVE
  Epoch epoch;
  uint32_t rank = 0;
};

// A token's log-probability: of the first one itself, then of the likeliest ones, as many as were asked for.
struct TokenScore {
  TokenId token = 0;
  float logprob = 0;
};
constexpr int kMaxTokenScores = 64;

// --- owner side: commands
// ---------------------------------------------------------------------------------------------

// From now on an Open of `id` by this reader is granted. Until then it is answered `retry`.
struct OwnBegin {
  HandoffId id;
  uint32_t rank = 0;
  Epoch reader_epoch;
  uint32_t reader_rank = 0;
  int64_t tokens = 0;      // of the whole prompt
  MonoTime hard_deadline;  // nothing renews past it
};
// Units of tokens [begin, end), layers [first_layer, end_layer), are complete and will not change while the
// lease lives. `checksums` are in the order atom, layer, unit (KvLayout::UnitsPerLayer); the last atom's
// count only its valid rows.
struct OwnOffer {
  HandoffId id;
  int64_t begin = 0, end = 0;
  int32_t first_layer = 0, end_layer = 0;
  std::vector<PageId> pages;  // of the whole sequence
  std::vector<uint64_t> checksums;
};
struct OwnSeal {
  HandoffId id;
  Id128 digest;  // TokenDigest of the prompt
  TokenId first_token = 0;
  std::vector<TokenScore> scores = {};  // of the first token, which the reader does not compute; may be empty
};
// The pages are needed back, or the request is over: ends the lease.
struct OwnRevoke {
  HandoffId id;
  std::string reason;
};

// --- reader side: commands
// --------------------------------------------------------------------------------------------

// Pull tokens [begin, end) into `pages` (of the whole sequence; reserved beforehand).
struct PullBegin {
  HandoffId id;
  KvPeer owner;
  uint32_t rank = 0;  // ours
  int64_t begin = 0, end = 0;
  std::vector<PageId> pages;
  Id128 digest;       // TokenDigest of the prompt: a Seal that differs is lost
  MonoTime deadline;  // lost if not held by then
  KvShard part = {};  // one leg's; empty: all that our shard keeps
};
// Ends the pull; PullLost follows, and PullFenced if it was not fenced.
struct PullCancel {
  HandoffId id;
};

using HandoffCommand = std::variant<OwnBegin, OwnOffer, OwnSeal, OwnRevoke, PullBegin, PullCancel>;

// --- events
// -----------------------------------------------------------------------------------------------------------

// The lease of `id` is over and so are all reads of its pages; sent exactly once per OwnBegin.
struct OwnEnded {
  HandoffId id;
  bool held = false;
  std::string reason;  // of not held
};
// Every byte was verified and the owner's verdict is *held*; sent at most once, then nothing more of this id.
struct PullHeld {
  HandoffId id;
  TokenId first_token = 0;
  bool inexact = false;                 // computed under another fingerprint, or stored in another dtype
  std::vector<TokenScore> scores = {};  // as the owner sealed them
};
// The pages must not be attended to. Unless `fenced`, late reads may still write into them until PullFenced.
struct PullLost {
  HandoffId id;
  absl::Status status;
  bool fenced = false;
};
struct PullFenced {
  HandoffId id;
};

using HandoffEvent = std::variant<OwnEnded, PullHeld, PullLost, PullFenced>;

// Receives events on the handoff's thread; must not block and must not call back into the handoff.
class HandoffEventSink {
 public:
  virtual ~HandoffEventSink() = default;
  virtual void OnHandoffEvent(HandoffEvent event) = 0;
};

// The page pools of a process, by rank. Addresses are stable for the process's life.
class KvMemory {
 public:
  virtual ~KvMemory() = default;
  virtual const KvLayout& layout() const = 0;
  virtual uint32_t ranks() const = 0;
  virtual int64_t pages(uint32_t rank) const = 0;
  virtual absl::Span<std::byte> Page(uint32_t rank, PageId page) = 0;
};

}  // namespace baton
