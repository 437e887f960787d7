#pragma once

// What goes into and comes out of WorkerCore, as plain data that mirrors proto/baton/worker.proto.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/ids.h"
#include "engine/types.h"
#include "services/kv_transfer/handoff/types.h"

namespace baton {

using CallId = uint64_t;  // one call of any kind; chosen by WorkerCore's caller, never used twice

enum class WorkerRole : uint8_t { kPrefill, kDecode };
enum class KvOutcome : uint8_t { kUnspecified, kHeld, kLost, kLocal };

// --- calls

// What is kept of a request for whoever takes its stream up again.
struct RecordedRequest {
  std::string spec;  // as it came, never read here; empty: nothing is kept
  Id128 principal;   // whose it is
};

struct DecodeCall {
  StreamId stream;
  Attempt attempt;
  uint32_t rank = 0;
  SequenceSpec spec;             // deadline set from the request's duration
  std::optional<KvPeer> source;  // absent: compute the prompt here
  RecordedRequest record;
};

struct PrefillCall {
  StreamId stream;
  Attempt attempt;
  uint32_t rank = 0;
  SequenceSpec spec;
  Epoch reader_epoch;
  uint32_t reader_rank = 0;
  RecordedRequest record;
};

// Prefix blocks on their way from rank to rank: a handoff of its own, which belongs to no stream. `id` names
// it and is made anew for each move; one more round of the same move has a higher attempt.
struct PrefixMove {
  StreamId id;
  Attempt attempt;
  std::vector<TokenId> tokens;
  Id128 cache_salt;
  MonoTime deadline = absl::InfiniteFuture();
};

// Offers the longest run of the blocks of `move.tokens` that the rank's prefix cache holds.
struct ShareCall {
  PrefixMove move;
  uint32_t rank = 0;
  Epoch reader_epoch;
  uint32_t reader_rank = 0;
};

// Pulls the blocks of `move.tokens` that the rank lacks into its prefix cache. `source` shares exactly these
// tokens.
struct FetchCall {
  PrefixMove move;
  uint32_t rank = 0;
  KvPeer source;
};

// Takes over what runs of a recorded stream, or its finished record, from token `position` on.
struct ResumeCall {
  StreamId stream;
  Attempt attempt;
  Id128 principal;
  int64_t position = 0;
};
struct RecordCall {
  StreamId stream;
  Id128 principal;
};
// Keeps the record of a stream that runs elsewhere.
struct KeepCall {
  StreamId stream;
  Attempt attempt;
  RecordedRequest record;
};
// Ends what runs of the stream under this attempt or a lower one.
struct StopCall {
  StreamId stream;
  Attempt attempt;
};

using WorkerCall =
    std::variant<DecodeCall, PrefillCall, ShareCall, FetchCall, ResumeCall, RecordCall, KeepCall, StopCall>;

// --- what a call's client is told

struct DecodeAccepted {
  int64_t cached_tokens = 0;
};
struct GeneratedToken {
  int64_t position = 0;  // of generated tokens, from 0
  TokenId token = 0;
  float logprob = 0;
  std::vector<TopLogprob> top;
  int64_t cached_tokens = 0;  // with the first one computed here: tokens found in the prefix cache
};
struct DecodeFinished {
  FinishReason reason = FinishReason::kNone;
  KvOutcome kv = KvOutcome::kUnspecified;
  bool inexact = false;  // what was pulled was computed or stored otherwise than here
};
struct PrefillFirstToken {
  GeneratedToken token;
  int64_t cached_tokens = 0;
  FinishReason finish = FinishReason::kNone;
};
struct PrefillHandoffEnded {
  KvOutcome outcome = KvOutcome::kUnspecified;
  std::string detail;
};

struct PrefixShared {  // before PrefillHandoffEnded, which follows only if there are any
  int64_t tokens = 0;
};
struct PrefixFetched {
  KvOutcome outcome = KvOutcome::kUnspecified;  // kLocal: all were there; kLost: nothing came
  int64_t cached_tokens = 0;                    // were there before
  int64_t fetched_tokens = 0;                   // are there now, besides
  std::string detail;                           // of kLost
};

struct RecordedToken {
  GeneratedToken token;
  bool scored = false;  // its log-probabilities are known here
};
struct RecordedStream {
  std::string spec;  // of the request
  Attempt attempt;   // the latest here
  std::vector<RecordedToken> tokens;
  FinishReason finish = FinishReason::kNone;
  bool inexact = false;  // of a finished one
  int64_t cached_tokens = 0;
};
struct RecordFound {
  RecordedStream stream;
  bool live = false;  // it runs here now,
  uint32_t rank = 0;  // at this rank
};

using CallEvent = std::variant<DecodeAccepted, GeneratedToken, DecodeFinished, PrefillFirstToken,
                               PrefillHandoffEnded, PrefixShared, PrefixFetched, RecordFound>;

// --- actions

struct SendEngine {
  uint32_t rank = 0;
  EngineCommand command;
};
struct SendHandoff {
  HandoffCommand command;
};
struct EmitEvent {
  CallId call = 0;
  CallEvent event;
};
// The last action of a call, exactly once for each; what was emitted before is still delivered if the status
// is Ok.
struct EndCall {
  CallId call = 0;
  absl::Status status;
};

using WorkerAction = std::variant<SendEngine, SendHandoff, EmitEvent, EndCall>;

}  // namespace baton
