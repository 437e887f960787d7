#pragma once

// One record of HandoffOwner: what a reader was promised, what has been offered to it, and what is due to be
// sent.

#include <deque>
#include <string>
#include <vector>

#include "services/kv_transfer/handoff/backoff.h"
#include "services/kv_transfer/handoff/owner_types.h"

namespace baton {

class OwnedLease {
 public:
  OwnedLease(const OwnBegin& begin, const OwnerOptions& options, MonoTime now);

  const OwnBegin& begun() const { return begun_; }
  const HandoffId& id() const { return begun_.id; }
  OwnerState state() const { return state_; }
  void set_state(OwnerState state) { state_ = state; }
  uint64_t lease() const { return lease_; }  // 0: not opened
  const Id128& secret() const { return secret_; }
  PeerId peer() const { return peer_; }
  void set_peer(PeerId peer) { peer_ = peer; }
  bool sealed() const { return sealed_; }
  uint64_t offers() const { return last_number_; }
  int64_t wanted_begin() const { return wanted_begin_; }
  int64_t wanted_end() const { return wanted_end_; }
  const KvShard& wanted_part() const { return wanted_part_; }
  MonoTime hard_deadline() const { return begun_.hard_deadline; }
  MonoTime lease_until() const { return std::min(lease_until_, begun_.hard_deadline); }
  // When the record ends if nothing happens: nobody opened it, or nobody renewed it.
  MonoTime expires() const {
    return state_ == OwnerState::kAwaiting ? std::min(open_by_, hard_deadline()) : lease_until();
  }

  // What a reader asked for: tokens [begin, end), of this part of the model.
  struct Wanted {
    int64_t begin = 0, end = 0;
    KvShard part;
  };
  // The one lease of this record. What was offered before is cut to what is wanted and numbered.
  void Grant(uint64_t lease, const Id128& secret, PeerId peer, const Wanted& wanted, MonoTime now,
             MonoTime hard_deadline);
  void Renew(MonoTime now) { lease_until_ = now + options_.lease; }

  // Queues an offer, split into messages of bounded size. An error voids the lease.
  absl::Status AddOffer(const OwnOffer& offer);
  void Seal(const OwnSeal& seal);
  // All offers up to `number` have arrived, and the seal if `sealed`.
  void Ack(uint64_t number, bool sealed, MonoTime now);

  // Messages due now: new offers within the window, the seal, and what must be said again. Returns how many
  // were repeats.
  size_t TakeDue(MonoTime now, std::vector<v1::Handoff>* out);
  // The next time at which TakeDue or expiry has something to do.
  MonoTime NextDeadline() const {
    return HasFresh() ? absl::InfinitePast() : std::min(expires(), resend_at_);
  }

  // Where the bytes of an offered rectangle are; an error if any of it has not been offered on this lease.
  absl::StatusOr<std::vector<ByteRange>> Locate(const UnitRect& rect) const;

 private:
  struct Piece {
    uint64_t number = 0;  // 0: before the lease, and of all that the pool keeps; else in view_
    UnitRect rect;
    std::vector<uint64_t> checksums;
  };
  absl::Status CheckOffer(const OwnOffer& offer) const;
  // The last offer that may be sent now.
  uint64_t WindowEnd() const;
  bool HasFresh() const;  // something may be sent for the first time
  bool Waiting() const { return !pieces_.empty() || (seal_sent_ && !seal_acked_); }
  void Queue(Piece piece);
  void Number(Piece piece);
  v1::Handoff OfferMessage(const Piece& piece) const;
  v1::Handoff SealMessage() const;

  const OwnerOptions& options_;
  OwnBegin begun_;
  MonoTime open_by_;
  OwnerState state_ = OwnerState::kAwaiting;

  uint64_t lease_ = 0;
  Id128 secret_;
  PeerId peer_ = 0;
  MonoTime lease_until_ = absl::InfiniteFuture();
  int64_t wanted_begin_ = 0, wanted_end_ = 0;
  KvShard wanted_part_;
  KvView view_;  // of what is wanted

  std::vector<PageId> pages_;
  UnitGrid offered_;          // of all that the pool keeps
  std::deque<Piece> pieces_;  // not acknowledged; pieces_[i].number are consecutive once leased
  uint64_t last_number_ = 0;  // given
  uint64_t last_sent_ = 0;
  bool sealed_ = false, seal_sent_ = false, seal_acked_ = false;
  Id128 digest_;
  TokenId first_token_ = 0;
  std::vector<TokenScore> scores_;
  Backoff backoff_;
  MonoTime resend_at_ = absl::InfiniteFuture();  // finite while something sent is not acknowledged
};

}  // namespace baton
