#pragma once

// The owner's side of the handoff (docs/handoff.md): which leases live, what is offered on them, and every
// verdict. A decision class: commands, messages and `now` in, actions appended to `out`; no thread, socket,
// clock or memory access.
//
// A record lives from OwnBegin to OwnEnded, which is emitted exactly once. Its one lease is made by the first
// Open that fits (or that came shortly before OwnBegin). Verdicts outlive their record until the hard
// deadline. Every table is bounded. `now` never decreases from call to call.

#include <deque>
#include <map>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "services/kv_transfer/handoff/owner_lease.h"
#include "services/kv_transfer/handoff/owner_types.h"
#include "services/kv_transfer/handoff/timer_index.h"
#include "services/kv_transfer/handoff/transitions.h"

namespace baton {

class HandoffOwner {
 public:
  explicit HandoffOwner(OwnerOptions options);
  HandoffOwner(const HandoffOwner&) = delete;
  HandoffOwner& operator=(const HandoffOwner&) = delete;

  // Invalid or one too many: OwnEnded follows at once. An id that is already live ends the older record.
  void OnBegin(const OwnBegin& command, MonoTime now, OwnerActions* out);
  // An invalid offer (overlap, misaligned, other pages than before) ends the lease. Unknown ids are ignored.
  void OnOffer(const OwnOffer& command, MonoTime now, OwnerActions* out);
  void OnSeal(const OwnSeal& command, MonoTime now, OwnerActions* out);
  void OnRevoke(const OwnRevoke& command, MonoTime now, OwnerActions* out);

  // Open, OfferAck, Renew, Confirm, Release; other verbs are ignored and counted as malformed.
  void OnMessage(PeerId from, const v1::Handoff& message, MonoTime now, OwnerActions* out);
  // Whether a Pull's bytes may be read now, and where they are. They must be read before the next call of
  // this object.
  absl::StatusOr<std::vector<ByteRange>> OnPull(const v1::Handoff& message, MonoTime now);

  // A reader that may not connect any more: its leases end as lost.
  void OnPeerDenied(PeerId peer, absl::string_view why, MonoTime now, OwnerActions* out);

  void OnTick(MonoTime now, OwnerActions* out);
  MonoTime NextDeadline() const;  // InfiniteFuture: none
  // Ends every record as lost.
  void Shutdown(MonoTime now, OwnerActions* out);

  const OwnerCounters& counters() const { return counters_; }
  size_t records() const { return records_.size(); }
  size_t verdicts() const { return verdicts_.size(); }
  size_t pending() const { return pending_.size(); }
  const OwnedLease* Find(const HandoffId& id) const;  // nullptr if `id` has no live record

  using Transitions = TransitionCounts<OwnerState, kOwnerStates>;
  const Transitions& transitions() const { return transitions_; }
  static absl::Span<const Transition<OwnerState>> LegalTransitions();

 private:
  struct Verdict {
    HandoffId id;
    Epoch reader_epoch;
    Id128 secret;
    bool held = false;
    std::string reason;
  };
  struct PendingOpen {
    PeerId from = 0;
    v1::Open open;
  };
  struct KnownReader {
    Epoch epoch;
    std::deque<std::pair<Epoch, MonoTime>> superseded;  // until when: see Superseded
    uint64_t last_lease = 0;
  };
  using PendingKey = std::pair<HandoffId, Epoch>;

  void OnOpen(PeerId from, const HandoffId& id, const v1::Open& open, MonoTime now, OwnerActions* out);
  void OnOfferAck(const HandoffId& id, const v1::OfferAck& ack, MonoTime now, OwnerActions* out);
  void OnRenew(PeerId from, const HandoffId& id, const v1::Renew& renew, MonoTime now, OwnerActions* out);
  void OnConfirm(PeerId from, const HandoffId& id, const v1::Confirm& confirm, MonoTime now,
                 OwnerActions* out);
  void OnRelease(const HandoffId& id, const v1::Release& release, MonoTime now, OwnerActions* out);

  OwnedLease* FindRecord(const HandoffId& id);
  // The live record that (id, lease, secret) names; nullptr if there is none.
  OwnedLease* FindLease(const HandoffId& id, uint64_t lease, const Id128& secret);
  std::string WhyRefused(const v1::Open& open, const OwnedLease& record) const;
  void TryGrant(PeerId from, const v1::Open& open, OwnedLease& record, MonoTime now, OwnerActions* out);
  void AnswerOpen(PeerId to, const v1::Open& open, const OwnedLease& record, MonoTime now,
                  OwnerActions* out) const;
  // A reader's new epoch ends what its old one had.
  void NoteReader(const v1::Open& open, uint64_t lease, MonoTime now, OwnerActions* out);
  // Of a life that another has followed. Forgotten after a lease: which of two lives is the older one is only
  // known by which was granted first, and a late Open can have that wrong.
  bool Superseded(const v1::Open& open, MonoTime now) const;
  void RememberOpen(PeerId from, const HandoffId& id, const v1::Open& open, MonoTime now);

  void Refuse(PeerId to, const HandoffId& id, const std::string& reason, bool retry, OwnerActions* out);
  void SendVerdict(PeerId to, const HandoffId& id, uint64_t lease, bool held, const std::string& reason,
                   OwnerActions* out) const;
  void SendRevoke(PeerId to, const HandoffId& id, uint64_t lease, const std::string& reason,
                  OwnerActions* out) const;

  void SetState(OwnedLease& record, OwnerState to);
  // Ends a record: verdict, OwnEnded and, if lost on an open lease, Revoke to the reader.
  void End(const HandoffId& id, bool held, const std::string& reason, MonoTime now, OwnerActions* out);
  void RememberEnd(const HandoffId& id, const std::string& reason, MonoTime until, MonoTime now);
  bool EndIfExpired(const HandoffId& id, MonoTime now, OwnerActions* out);
  // Sends what is due on the record and files its next deadline.
  void Pump(OwnedLease& record, MonoTime now, OwnerActions* out);

  const OwnerOptions options_;
  uint64_t last_lease_ = 0;
  std::map<HandoffId, OwnedLease> records_;
  TimerIndex<HandoffId> record_timers_;
  absl::flat_hash_map<uint64_t, Verdict> verdicts_;  // by lease id
  TimerIndex<uint64_t> verdict_timers_;
  std::map<HandoffId, std::string> ended_;  // why; so that a late Open is refused and not told to retry
  TimerIndex<HandoffId> ended_timers_;
  std::map<PendingKey, PendingOpen> pending_;
  TimerIndex<PendingKey> pending_timers_;
  std::map<std::string, KnownReader> readers_;
  OwnerCounters counters_;
  Transitions transitions_;
};

}  // namespace baton
