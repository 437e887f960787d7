#pragma once

// What every call at a worker is in, and what is done next: the glue between calls, engines and the handoff,
// as a decision class (events and `now` in, actions out; no thread, lock, socket or clock). Not thread-safe;
// deterministic.
//
// A call walks these states; a call that ends early walks the same path backwards, and what it still owes (a
// fence, the end of a lease) is remembered without it:
//
//   Decode, source given: reserving -> pulling -> running          Decode, no source: running
//   Prefill:              computing -> sealed
//   Share:                sharing -> sealed                        Fetch: reserving -> pulling
//
// Of a Decode or Prefill that asks for it a record is kept (record_book.h). If the call of such a Decode
// breaks while it is running, it goes on for linger_time, or emission_buffer tokens, so that a Resume finds
// it alive.
//
// Promises: every call gets exactly one EndCall and nothing after it; of a stream only the highest attempt
// seen is served (DESIGN section 4); every engine sequence is finished, failed, cancelled or released exactly
// once; pages that were being pulled stay quarantined until the handoff says that they are fenced.

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "services/worker/attempt_table.h"
#include "services/worker/record_book.h"
#include "services/worker/worker_types.h"

namespace baton {

struct WorkerCoreOptions {
  WorkerRole role = WorkerRole::kDecode;
  uint32_t ranks = 1;
  int64_t max_context = 8192;  // tokens of a sequence, generated ones included
  int32_t vocab_size = 0;
  size_t max_calls = 1024;                           // open at once; one more is refused
  int64_t emission_buffer = 256;                     // B: events that a call's reader may be behind by
  absl::Duration max_call_time = absl::Minutes(30);  // bounds every call's deadline
  // After it the prompt is recomputed; well before the router, which waits 60 s for a token, gives up.
  absl::Duration pull_timeout = absl::Seconds(45);
  absl::Duration linger_time = absl::Seconds(5);  // that a recorded stream runs on after its call broke
  AttemptTableOptions attempts;
  RecordBookOptions records;
};

// Counters since start.
struct WorkerCounters {
  uint64_t admitted = 0, refused = 0, superseded = 0, too_slow = 0, broken = 0, out_of_time = 0;
  uint64_t finished = 0, failed = 0;
  uint64_t pulled_held = 0, pulled_lost = 0, owned_held = 0, owned_lost = 0;
  uint64_t pulled_inexact = 0;  // among pulled_held
  uint64_t lingered = 0, resumed = 0;
};

struct DrainState {
  bool draining = false;
  MonoTime deadline = absl::InfiniteFuture();
  uint64_t ended = 0;    // calls that ended by themselves since the drain began
  uint64_t cut_off = 0;  // calls ended by its deadline
};

class WorkerCore {
 public:
  explicit WorkerCore(const WorkerCoreOptions& options);

  // A call arrived. Each gets exactly one EndCall, perhaps at once.
  void OnDecode(CallId id, DecodeCall call, MonoTime now);
  void OnPrefill(CallId id, PrefillCall call, MonoTime now);
  // Whatever the role; a Share even while draining, so that what is here can be moved away.
  void OnShare(CallId id, ShareCall call, MonoTime now);
  void OnFetch(CallId id, FetchCall call, MonoTime now);
  // Whatever the role, even while draining.
  void OnResume(CallId id, const ResumeCall& call, MonoTime now);
  void OnRecord(CallId id, const RecordCall& call, MonoTime now);
  void OnKeep(CallId id, KeepCall call, MonoTime now);
  void OnStop(CallId id, const StopCall& call, MonoTime now);
  // The client went away or cancelled. Unknown or ended calls are ignored.
  void OnCallBroken(CallId id, MonoTime now);
  // The call's reader took `n` more events.
  void OnSent(CallId id, int64_t n);

  // `checksums`, for a ComputedEvent and a SharedEvent only: of the units that Offerable() of its range
  // names, in the order of OwnOffer.
  void OnEngineEvent(uint32_t rank, EngineEvent event, std::vector<uint64_t> checksums, MonoTime now);
  void OnHandoffEvent(HandoffEvent event, MonoTime now);

  // Gates new calls only.
  void OnRole(WorkerRole role) { options_.role = role; }
  // Stops admission. Calls still open at `deadline` end with UNAVAILABLE (by OnTick or OnDrainDeadline).
  // Repeated: the earlier deadline counts.
  void OnDrain(MonoTime deadline);
  void OnDrainDeadline(MonoTime now);
  // Ends calls that are out of time and forgets old attempts. Call it every few tens of milliseconds.
  void OnTick(MonoTime now);

  // What is to be done, in order; the order between actions of one rank, of the handoff and of one call
  // matters.
  std::vector<WorkerAction> TakeActions();

  WorkerRole role() const { return options_.role; }
  const DrainState& drain() const { return drain_; }
  const WorkerCounters& counters() const { return counters_; }
  size_t open_calls() const { return by_call_.size(); }
  // Sequences whose call is open, that linger, or that still owe a fence or the end of a lease.
  size_t jobs() const { return jobs_.size(); }
  const RecordBook& records() const { return records_; }
  // Whether the tables agree with each other. For tests and idle checks.
  absl::Status CheckIntegrity() const;

 private:
  enum class State : uint8_t {
    kReserving,  // decode, fetch: the reservation is unanswered
    kPulling,    // decode, fetch: the handoff reads into our pages
    kRunning,    // decode: the engine goes on by itself
    kComputing,  // prefill: the prompt is not done
    kSharing,    // share: ShareCommand unanswered
    kSealed,     // prefill, share: waiting for the end of the lease
    kOver,       // the engine knows the sequence no more
  };
  // One sequence: its call while that is open, and what it owes to engine and handoff.
  struct Job {
    CallId call = 0;
    bool open = true;  // EndCall is still to come
    StreamId stream;
    Attempt attempt;
    CallKind kind = CallKind::kDecode;
    State state = State::kRunning;
    uint32_t rank = 0;
    MonoTime deadline;
    int64_t tokens = 0;            // of the prompt (and replay), or of the blocks that move
    Id128 digest;                  // TokenDigest of them
    KvPeer source;                 // of what is pulled; share: epoch and rank of the reader
    std::vector<TokenId> offered;  // share: asked for
    int64_t next_position = 0;     // of the next generated token
    int64_t unsent = 0;
    int64_t cached_tokens = 0;
    std::vector<TokenScore> adopted_scores;  // came with the adopted token; empty: unknown
    KvOutcome outcome = KvOutcome::kUnspecified;
    bool reads_open = false;        // decode, fetch: the handoff may still write into our pages
    bool lease_open = false;        // prefill, share: OwnEnded is still to come
    bool revoked = false;           // prefill, share: OwnRevoke was sent
    bool cancelled = false;         // decode, fetch: PullCancel was sent
    bool unserved = false;          // refused before anything was emitted
    bool lost = false;              // decode, fetch: PullLost came
    bool inexact = false;           // decode: what was pulled is of another fingerprint or dtype
    bool recorded = false;          // decode, prefill: in the record book
    int64_t adopted_position = -1;  // of the token that came with the pages
    int64_t lingered = 0;           // tokens since its call broke
    MonoTime linger_until = absl::InfinitePast();  // later: it runs on without a call

    HandoffId handoff() const { return {stream, attempt}; }
    bool lingers() const { return linger_until != absl::InfinitePast(); }
  };

  struct Arrival {
    StreamId stream;
    Attempt attempt;
    CallKind kind;
    uint32_t rank;
    MonoTime deadline;
  };
  // Whether calls of this kind are taken now.
  absl::Status CheckGate(CallKind kind) const;
  // `check`: of what else the request says.
  absl::Status Admit(const Arrival& arrival, const absl::Status& check, MonoTime now);
  absl::Status AdmitSequence(const Arrival& arrival, const SequenceSpec& spec, MonoTime now);
  absl::Status AdmitMove(const Arrival& arrival, const PrefixMove& move, MonoTime now);
  Job MakeMoveJob(CallId id, const PrefixMove& move, CallKind kind, uint32_t rank, MonoTime now) const;
  void Supersede(const StreamId& stream, Attempt attempt, MonoTime now);
  void Refuse(CallId id, absl::Status status);
  Job MakeJob(CallId id, const StreamId& stream, Attempt attempt, CallKind kind, uint32_t rank,
              SequenceSpec& spec, MonoTime now) const;
  SeqId AddJob(CallId id, Job job);
  Job* Find(SeqId seq, uint32_t rank);

  void On(SeqId seq, Job& job, TokenEvent& event, MonoTime now);
  void On(SeqId seq, Job& job, ReservedEvent& event, MonoTime now);
  void On(SeqId seq, Job& job, PrefilledEvent& event, MonoTime now);
  void On(SeqId seq, Job& job, FailedEvent& event, MonoTime now);
  void On(SeqId seq, Job& job, const OwnEnded& event, MonoTime now);
  void On(SeqId seq, Job& job, const PullHeld& event, MonoTime now);
  void On(SeqId seq, Job& job, const PullLost& event, MonoTime now);
  void On(SeqId seq, Job& job, const PullFenced& event, MonoTime now);
  void OnComputed(Job& job, ComputedEvent& event, std::vector<uint64_t> checksums);
  void OnShared(SeqId seq, Job& job, SharedEvent& event, std::vector<uint64_t> checksums, MonoTime now);

  // Puts a sequence just added into the record book, if its request asks for that,
  void Keep(SeqId seq, RecordedRequest request, absl::Span<const TokenId> emitted, MonoTime now);
  // and then its tokens.
  void Note(const Job& job, const TokenEvent& event, bool scored);
  bool MayLinger(const Job& job) const;
  void Linger(Job& job, MonoTime now);
  void EndLingering(bool all, MonoTime now);
  // Nobody may take it over any more.
  void Unlist(SeqId seq, Job& job);
  void TakeOver(SeqId seq, Job& job, CallId id, const ResumeCall& call, MonoTime now);
  void Tell(CallId id, CallEvent event);
  void Retell(CallId id, const RecordedStream& record, int64_t position);
  // The end of a Fetch; `job` may be gone afterwards.
  void FinishFetch(SeqId seq, Job& job, KvOutcome outcome, std::string detail, MonoTime now);
  void Emit(Job& job, CallEvent event);
  // Ends the call, if it is open.
  void Close(Job& job, absl::Status status, MonoTime now);
  // Close, and gives back what the sequence holds, as far as that is possible at once. `job` may be gone
  // afterwards.
  void Abandon(SeqId seq, Job& job, absl::Status status, MonoTime now);
  void EndReads(Job& job);
  void EraseIfSettled(SeqId seq);
  void Engine(const Job& job, EngineCommand command);
  void Handoff(HandoffCommand command);

  WorkerCoreOptions options_;
  AttemptTable attempts_;
  DrainState drain_;
  WorkerCounters counters_;
  SeqId next_seq_ = 1;
  absl::flat_hash_map<SeqId, Job> jobs_;
  absl::flat_hash_map<CallId, SeqId> by_call_;      // open calls
  absl::flat_hash_map<HandoffId, SeqId> by_pull_;   // jobs with reads_open
  absl::flat_hash_map<HandoffId, SeqId> by_lease_;  // jobs with lease_open
  absl::flat_hash_map<StreamId, SeqId> live_;       // recorded decodes that the engine knows
  RecordBook records_;
  std::vector<WorkerAction> actions_;
};

// Of the computed tokens [begin, end) of a prompt of `tokens`, those that may be offered: whole atoms (those
// before `begin` in the first atom were computed earlier), and the partial one only at the prompt's end.
// first == second: none.
std::pair<int64_t, int64_t> Offerable(int64_t begin, int64_t end, int64_t tokens);

}  // namespace baton
