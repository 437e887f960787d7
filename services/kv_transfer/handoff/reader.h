#pragma once

// The reader's side of the handoff (docs/handoff.md): asks for leases, pulls what is offered, has every unit
// verified where it is stored, confirms, and reports *held* only on the owner's verdict. A decision class:
// commands, messages, completions and `now` in, actions appended to `out`; no thread, socket, clock or memory
// access. `now` never decreases from call to call.
//
// Of each PullBegin: either PullHeld, or PullLost and, if that was not fenced, PullFenced. The destination
// pages are the pull's until PullHeld, PullLost{fenced} or PullFenced.

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/kv_transfer/handoff/reader_pull.h"
#include "services/kv_transfer/handoff/reader_types.h"
#include "services/kv_transfer/handoff/timer_index.h"
#include "services/kv_transfer/handoff/transitions.h"

namespace baton {

class HandoffReader {
 public:
  explicit HandoffReader(ReaderOptions options);
  HandoffReader(const HandoffReader&) = delete;
  HandoffReader& operator=(const HandoffReader&) = delete;

  // `owner` is the connection to command.owner. Invalid or one too many: PullLost{fenced} at once. An id
  // whose pull is still in the table is ignored and counted: attempts are never repeated.
  void OnBegin(const PullBegin& command, PeerId owner, MonoTime now, ReaderActions* out);
  void OnCancel(const PullCancel& command, MonoTime now, ReaderActions* out);

  // Opened, Refused, Offer, Revoke, Seal, Renewed, Verdict; other verbs are ignored and counted as malformed.
  void OnMessage(PeerId from, const v1::Handoff& message, MonoTime now, ReaderActions* out);
  // Once for each PostPull, also one that could not be posted. ResourceExhausted, Unavailable, Cancelled: it
  // is tried again. DataLoss: a check failed.
  void OnReadDone(uint64_t tag, const absl::Status& status, MonoTime now, ReaderActions* out);
  // Once for each VerifyUnits.
  void OnVerified(uint64_t tag, bool match, MonoTime now, ReaderActions* out);

  // The closed connection `was` (ClosePeer) has been made anew, as `is`: pulls that are not fencing go on
  // over it.
  void OnReconnected(PeerId was, PeerId is, MonoTime now);

  // The connection had broken and is back: what may have been lost with it is asked for again at once.
  void OnPeerBack(PeerId peer, MonoTime now, ReaderActions* out);
  // The connection is gone for good, and so is its owner: every pull over it is lost.
  void OnPeerGone(PeerId peer, absl::string_view why, MonoTime now, ReaderActions* out);

  void OnTick(MonoTime now, ReaderActions* out);
  MonoTime NextDeadline() const;  // InfiniteFuture: none
  // Gives up every pull.
  void Shutdown(MonoTime now, ReaderActions* out);

  const ReaderCounters& counters() const { return counters_; }
  size_t pulls() const { return pulls_.size(); }  // fencing ones included
  size_t bytes_in_flight() const { return bytes_in_flight_; }
  bool Uses(PeerId peer) const;  // whether a pull still needs the connection
  const Pull* Find(const HandoffId& id) const;

  using Transitions = TransitionCounts<ReaderState, kReaderStates>;
  const Transitions& transitions() const { return transitions_; }
  static absl::Span<const Transition<ReaderState>> LegalTransitions();

 private:
  struct Owner {
    size_t pulls = 0;
    std::deque<HandoffId> ready;  // with reads to post; may name pulls that have gone
    size_t bytes_in_flight = 0, reads_in_flight = 0;
    MonoTime busy_until = absl::InfinitePast();
  };

  absl::Status CheckBegin(const PullBegin& command, MonoTime now) const;
  // A message of the pull's own owner and epoch.
  void Dispatch(Pull& pull, const v1::Handoff& message, MonoTime now, ReaderActions* out);
  void OnOpened(PeerId from, Pull* pull, const v1::Handoff& message, MonoTime now, ReaderActions* out);
  void OnRefused(Pull& pull, const v1::Refused& refused, MonoTime now, ReaderActions* out);
  void OnOffer(Pull& pull, const v1::Offer& offer, MonoTime now, ReaderActions* out);
  void OnSeal(Pull& pull, const v1::Seal& seal, MonoTime now, ReaderActions* out);
  void OnRenewed(Pull& pull, const v1::Renewed& renewed);
  void OnVerdict(Pull& pull, const v1::Verdict& verdict, MonoTime now, ReaderActions* out);
  // Of an answer by another life of the owner: true if it ends the pull.
  static bool EndsPull(const Pull& pull, const v1::Handoff& message);

  void SendOpen(Pull& pull, MonoTime now, ReaderActions* out);
  void SendRenew(Pull& pull, MonoTime now, ReaderActions* out);
  void SendConfirm(Pull& pull, MonoTime now, ReaderActions* out);
  void SendAck(const Pull& pull, ReaderActions* out);
  void SendRelease(PeerId to, const HandoffId& id, const Epoch& owner, uint64_t lease, const Id128& secret,
                   ReaderActions* out);

  void SetState(Pull& pull, ReaderState to);
  // The chunk's bytes are what they should be.
  void Accept(Pull& pull, uint64_t tag, const Pull::Chunk& chunk, MonoTime now, ReaderActions* out);
  void FreeSlot(uint64_t tag);
  size_t SlotOf(uint64_t tag) const;  // 0 if it has none
  void ConfirmIfComplete(Pull& pull, MonoTime now, ReaderActions* out);
  void Hold(Pull& pull, ReaderActions* out);
  void Lose(Pull& pull, absl::Status status, MonoTime now, ReaderActions* out);
  void Erase(const HandoffId& id);
  void Tick(Pull& pull, MonoTime now, ReaderActions* out);
  void Enqueue(Pull& pull);
  // Posts reads within the bounds, one owner and one of its pulls after the other. No owner has more than
  // half of the bounds, so that one which does not answer leaves room for the rest.
  void PumpReads(MonoTime now, ReaderActions* out);
  // One read of this owner's; false: it has none to post, or none that fits.
  bool PostRead(Owner& owner, MonoTime now, ReaderActions* out);
  void File(const HandoffId& id);
  // Of those over the connection that are not fencing.
  std::vector<HandoffId> PullsOver(PeerId peer) const;

  const ReaderOptions options_;
  std::map<HandoffId, Pull> pulls_;
  TimerIndex<HandoffId> timers_;
  absl::flat_hash_map<uint64_t, HandoffId> tags_;  // of reads and verifications under way
  std::map<PeerId, Owner> owners_;                 // that a pull needs
  PeerId last_served_ = 0;
  uint64_t last_tag_ = 0;
  std::map<uint64_t, size_t> slots_;  // of the staging, by the tag of the read or verification that has it
  std::vector<size_t> free_slots_;
  size_t bytes_in_flight_ = 0;
  size_t reads_in_flight_ = 0;
  ReaderCounters counters_;
  Transitions transitions_;
};

}  // namespace baton
