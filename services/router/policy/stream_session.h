#pragma once

// One stream's life, as DESIGN section 4 tells it, without any I/O: events and `now` in, actions out.
//
//   Start -> Place -> (Placed) -> OpenDecode -> (DecodeAccepted) -> OpenPrefill if split -> tokens -> Finish
//
// Rules:
// - TTFT never waits for KV: the first token is emitted when Prefill or Decode reports it, whichever
//   is first.
// - An attempt that was refused, broke or timed out is cancelled on both sides and placed again as n + 1,
//   elsewhere if possible, with all tokens that are out: exact replay (DESIGN section 6). INVALID_ARGUMENT is
//   never tried again, nor is a stream whose two workers compute other numbers once a token is out.
// - A request that breaks its workers is stopped: after max_attempts in a row that emitted nothing, and after
//   max_replays in all.
// - RESOURCE_EXHAUSTED is no failure of the attempt: the stream waits for room, asking again after growing
//   pauses, until capacity_timeout. Nor is it a failure that no decode worker is known or none can be reached
//   at the moment (one may be restarting): that is waited for likewise, until no_worker_timeout.
// - A worker that has fallen silent is given up as if the call had broken, unless this stream has heard from
//   it meanwhile.
// - A prefill call that ends well with its handoff lost, before the first token, leaves the stream to decode,
//   which hears of the loss too and computes the prompt itself.
// - A prefill call that breaks after the attempt's first token changes nothing: decode finds its handoff lost
//   and recomputes.
// - ABORTED (superseded) ends the stream quietly: someone else serves it, unless that was this session
// itself.
// - Move takes a stream that decodes to another rank (migration). While the old rank goes on emitting, the
// blocks
//   that it holds are shared and fetched, then the few new ones, round by round; then the next attempt is
//   opened at the target beside the current one. Its first token is the switch: it becomes the current
//   attempt and the old call is cancelled. Up to then any failure of the move leaves the stream where it is;
//   a stream whose old rank breaks meanwhile goes over at once. What did not come is recomputed at the
//   target, to the same tokens.
// - With a stop token, or the max_tokens-th, the stream is over, though its call still has to say so: no move
//   goes on or begins, no further token is taken, and if the call breaks then, the stream finishes all the
//   same.
// - Events of any attempt but the current one, and of one given up, are ignored; tokens among them are
//   counted as stale.
// - Exactly one of Finish, Fail and EndQuietly is the last action; before it every open call has been
//   cancelled.
//
// After Fail for a reader too slow or a deadline the caller still owes its client the error. Not thread-safe.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/ids.h"
#include "services/router/policy/emission.h"
#include "services/router/policy/placement.h"

namespace baton::router {

struct SessionConfig {
  uint32_t max_attempts = 3;                                // in a row, that emitted nothing
  uint32_t max_replays = 16;                                // attempts that began after a token was out
  absl::Duration silence = absl::Seconds(1);                // WorkerSilent counts if nothing came for so long
  absl::Duration accept_timeout = absl::Seconds(10);        // OpenDecode to DecodeAccepted
  absl::Duration first_token_timeout = absl::Seconds(300);  // DecodeAccepted to the first token
  absl::Duration stall_timeout = absl::Seconds(60);       // between tokens, and last token to DecodeFinished
  absl::Duration retry_backoff = absl::Milliseconds(20);  // after the n-th failure: n times this
  absl::Duration capacity_timeout = absl::Seconds(30);    // from the first refusal for want of room
  absl::Duration no_worker_timeout = absl::Seconds(5);    // from the first placement that found no worker
  absl::Duration move_timeout = absl::Seconds(15);        // Move to the switch
  uint32_t move_rounds = 3;                               // of share and fetch at most,
  uint32_t move_tail_tokens = 16;                         // another one only for so many new tokens
  absl::Duration min_capacity_pause = absl::Milliseconds(10);   // doubled at each refusal,
  absl::Duration max_capacity_pause = absl::Milliseconds(500);  // up to this
};

struct SessionSpec {
  StreamId stream;
  uint32_t claim = 0;
  MonoTime deadline = absl::InfiniteFuture();
  uint32_t max_tokens = 0;           // 0: not known here
  std::vector<TokenId> stop_tokens;  // those that end the stream: none with ignore_eos
  std::vector<TokenId> emitted;      // under earlier claims: the first attempt goes on after them
};

enum class StreamFinish { kNone, kStopToken, kStopString, kLength };
enum class HandoffOutcome { kUnknown, kHeld, kLost, kLocal };

// Actions, to be carried out in order.
struct Place {  // answer with Placed
  Attempt attempt;
  std::vector<RankRef> avoid;
};
struct OpenDecode {
  Attempt attempt;
  RankRef target;
  std::optional<RankRef> source;  // whose KV to pull; absent: compute the prompt there
  std::vector<TokenId> emitted;   // of earlier attempts: appended to the prompt (replay)
  bool moved = false;             // the target is that of the move under way
};
struct OpenPrefill {
  Attempt attempt;
  RankRef target;
  RankRef reader;
  Epoch reader_epoch;
  std::vector<TokenId> emitted;
};
// A move's calls; `round` is never used twice in a session.
struct OpenShare {
  uint32_t round = 0;
  RankRef source;
  RankRef reader;
  std::vector<TokenId> emitted;
};
struct OpenFetch {
  uint32_t round = 0;
  RankRef target;
  RankRef source;
  uint32_t tokens = 0;  // of prompt + emitted, from the first
  std::vector<TokenId> emitted;
};
struct CancelMove {  // the round's share and fetch
  uint32_t round = 0;
};
struct MoveEnded {  // once for each Move; Ok: the stream is at the target
  absl::Status status;
};
struct CancelDecode {
  Attempt attempt;
};
struct CancelPrefill {
  Attempt attempt;
};
struct EmitToken {
  StreamToken token;
};
struct Finish {
  StreamFinish reason;
};
struct Fail {
  absl::Status status;
};
struct EndQuietly {};
using SessionAction =
    std::variant<Place, OpenDecode, OpenPrefill, OpenShare, OpenFetch, CancelMove, MoveEnded, CancelDecode,
                 CancelPrefill, EmitToken, Finish, Fail, EndQuietly>;
using SessionActions = std::vector<SessionAction>;

struct SessionCounts {
  uint32_t attempts = 0;  // placed
  uint32_t replays = 0;   // of them, after a token was out and not by a move
  HandoffOutcome handoff =
      HandoffOutcome::kUnknown;  // of the current attempt, as first reported by either side
  uint32_t moves = 0;            // done
  uint32_t moves_failed = 0;     // the stream stayed where it was
  uint32_t fetches_held = 0, fetches_lost = 0;
  uint32_t prefill_cached_tokens = 0;  // of the attempt that emitted the first token
  uint32_t decode_cached_tokens = 0;
};

class StreamSession {
 public:
  StreamSession(const SessionConfig& config, const SessionSpec& spec);

  SessionActions Start(MonoTime now);
  SessionActions Placed(Attempt attempt, absl::StatusOr<Placement> placement, MonoTime now);

  // From the decode call.
  SessionActions DecodeAccepted(Attempt attempt, Epoch epoch, uint32_t cached_tokens, MonoTime now);
  SessionActions DecodeToken(Attempt attempt, const StreamToken& token, MonoTime now);
  // Of what the decode worker computed itself; before the token with which it came.
  void DecodeCached(Attempt attempt, uint32_t tokens) {
    if (Serving(attempt)) counts_.decode_cached_tokens = std::max(counts_.decode_cached_tokens, tokens);
  }
  SessionActions DecodeFinished(Attempt attempt, StreamFinish reason, HandoffOutcome kv, MonoTime now);
  SessionActions DecodeEnded(Attempt attempt, const absl::Status& status, MonoTime now);
  // From the prefill call. `finish` is not kNone if the first token already ends the stream.
  SessionActions PrefillFirstToken(Attempt attempt, const StreamToken& token, uint32_t cached_tokens,
                                   StreamFinish finish, MonoTime now);
  SessionActions HandoffEnded(Attempt attempt, HandoffOutcome outcome);  // recorded, for metrics
  SessionActions PrefillEnded(Attempt attempt, const absl::Status& status, MonoTime now);

  // Takes the stream to `target`, which can serve it: another rank of an equal fingerprint.
  SessionActions Move(RankRef target, MonoTime now);
  // From the calls of a move's round.
  SessionActions PrefixShared(uint32_t round, uint32_t tokens, MonoTime now);
  SessionActions ShareEnded(uint32_t round, const absl::Status& status, MonoTime now);
  SessionActions PrefixFetched(uint32_t round, HandoffOutcome outcome, MonoTime now);
  SessionActions FetchEnded(uint32_t round, const absl::Status& status, MonoTime now);

  // A worker has reported nothing for a while, and another could do its work. May be said again and again.
  SessionActions WorkerSilent(uint64_t worker, MonoTime now);

  // From the client's side.
  SessionActions StopStringFound();  // in the text of tokens already emitted
  SessionActions ClientGone();
  SessionActions ReaderTooSlow();
  SessionActions ShutDown();  // the router's grace time is over

  SessionActions Tick(MonoTime now);
  // When Tick must be called at the latest.
  MonoTime NextDeadline() const;

  bool done() const { return state_ == State::kDone; }
  Attempt attempt() const { return attempt_; }
  const StreamEmission& emission() const { return emission_; }
  const SessionCounts& counts() const { return counts_; }
  // Whether Move would begin.
  absl::Status CanMove() const;
  RankRef decode_rank() const { return placement_.decode; }

  enum class State { kNew, kPlacing, kOpening, kRunning, kBackoff, kDone };
  State state() const { return state_; }

 private:
  bool Current(Attempt attempt) const { return attempt == attempt_ && !done(); }
  // Whether the attempt's calls still count: it is the current one and was not given up (kBackoff).
  bool Serving(Attempt attempt) const {
    return attempt == attempt_ && (state_ == State::kOpening || state_ == State::kRunning);
  }
  bool TokensOut() const { return emission_.next_position() > 0; }
  struct Moving {
    enum class Phase { kSharing, kFetching, kSwitching };
    Phase phase = Phase::kSharing;
    RankRef target;
    MonoTime deadline;
    uint32_t rounds = 0;
    uint32_t covered = 0;  // emitted tokens when the round began
    Attempt next;          // kSwitching: the attempt at the target
    bool accepted = false;
  };
  bool InRound(uint32_t round, Moving::Phase phase) const {
    return move_ && round == round_ && move_->phase == phase;
  }
  bool IsNext(Attempt attempt) const {
    return move_ && move_->phase == Moving::Phase::kSwitching && attempt == move_->next;
  }
  void StartRound(SessionActions& actions);
  void Switch(SessionActions& actions);
  // The attempt at the target becomes the current one.
  void Promote(SessionActions& actions, MonoTime now);
  // The current attempt broke while a move is under way.
  SessionActions TakeOver(MonoTime now);
  void AbandonMove(SessionActions& actions, absl::Status status);
  SessionActions AbandonMove(absl::Status status);
  SessionActions NextEnded(const absl::Status& status);
  void CancelCalls(SessionActions& actions);
  // What a token at the end of what was emitted makes of the stream; kNone: it goes on.
  StreamFinish EndedBy(TokenId token) const;
  void PlaceNext(SessionActions& actions);
  SessionActions OfferToken(Attempt attempt, const StreamToken& token, MonoTime now);
  SessionActions AttemptBroken(const absl::Status& status, MonoTime now);
  SessionActions GiveUp(const absl::Status& status);
  SessionActions WaitForRoom(const absl::Status& status, MonoTime now);
  SessionActions WaitForWorker(const absl::Status& status, MonoTime now);
  absl::Duration GrowingPause(uint32_t before) const;
  SessionActions BackOff(absl::Duration pause, MonoTime now);
  SessionActions End(SessionAction last);

  const SessionConfig config_;
  const SessionSpec spec_;
  State state_ = State::kNew;
  Attempt attempt_;
  uint32_t last_n_ = 0;  // highest n given to an attempt
  Placement placement_;
  bool decode_open_ = false;
  bool prefill_open_ = false;
  bool decoding_ = false;        // a token of the current attempt came from its decode call
  bool progressed_ = false;      // a new token came of the current attempt
  MonoTime heard_;               // of its decode worker
  bool own_superseded_ = false;  // a higher attempt was sent to the current one's worker
  std::optional<Moving> move_;
  uint32_t round_ = 0;
  MonoTime timer_ = absl::InfiniteFuture();  // of the state: accept, first token, stall or backoff
  std::vector<RankRef> tried_;
  absl::Status last_error_;
  uint32_t failures_ = 0;  // of attempts in a row that emitted nothing, want of room not counted
  uint32_t refusals_ = 0;  // for want of room
  MonoTime room_deadline_ = absl::InfiniteFuture();
  uint32_t misses_ = 0;  // placements in a row that found no worker, or none that answered
  MonoTime worker_deadline_ = absl::InfiniteFuture();
  StreamEmission emission_;
  StreamFinish over_ = StreamFinish::kNone;  // as the last token emitted says
  SessionCounts counts_;
};

}  // namespace baton::router
