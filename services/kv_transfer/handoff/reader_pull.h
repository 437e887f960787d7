#pragma once

// One pull of HandoffReader: what has been offered, what is being read, and what has been verified.

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/kv_transfer/handoff/backoff.h"
#include "services/kv_transfer/handoff/reader_types.h"

namespace baton {

// Send times of numbered requests, the latest few: an answer's lease counts from when its request was sent.
class SentRequests {
 public:
  uint64_t Add(MonoTime now);
  std::optional<MonoTime> Find(uint64_t serial) const;
  uint64_t count() const { return last_; }

 private:
  static constexpr size_t kKept = 64;
  uint64_t last_ = 0;
  std::array<MonoTime, kKept> at_{};
};

class Pull {
 public:
  // A rectangle of an offer, small enough for one read.
  struct Chunk {
    uint64_t offer = 0;
    UnitRect rect;
  };
  struct Read {
    Chunk chunk;
    PeerId peer = 0;
    size_t bytes = 0;
    MonoTime deadline;
    bool aborted = false;
  };

  Pull(const PullBegin& begin, PeerId peer, const ReaderOptions& options, MonoTime now);

  const PullBegin& begun() const { return begun_; }
  const HandoffId& id() const { return begun_.id; }
  PeerId peer() const { return peer_; }
  // The old connection is closed; what was under way on it is asked for again.
  void Reconnect(PeerId peer, MonoTime now);
  ReaderState state() const { return state_; }
  void set_state(ReaderState state) { state_ = state; }
  // Whether nothing but the owner's answer can take it further.
  bool AwaitsAnswer() const { return state_ == ReaderState::kOpening || state_ == ReaderState::kConfirming; }
  uint64_t lease() const { return lease_; }
  const Id128& secret() const { return secret_; }
  TokenId first_token() const { return first_token_; }
  const std::vector<TokenScore>& scores() const { return scores_; }
  uint64_t offers() const { return offers_.size(); }

  // The lease begins. `sent` is when the request it answers was sent: never later than the owner's own count.
  // An error: the owner's layout cannot bring what was asked for.
  absl::Status Begin(const v1::Opened& opened, MonoTime sent);
  const KvShard& part() const { return part_; }
  bool converts() const { return remote_.layout.dtype != view_.layout.dtype; }
  bool inexact() const { return inexact_; }
  void Renewed(MonoTime sent, absl::Duration lease) { lease_until_ = std::max(lease_until_, sent + lease); }
  MonoTime lease_until() const { return std::min(lease_until_, hard_until_); }

  // false: had it already. An error voids the pull.
  absl::StatusOr<bool> AddOffer(const v1::Offer& offer);
  absl::Status AddSeal(const v1::Seal& seal);
  bool sealed() const { return sealed_offers_.has_value(); }
  // All offers up to this one have arrived.
  uint64_t contiguous() const { return contiguous_; }
  // Every offer has arrived and every unit wanted was verified.
  bool Complete() const;
  // Sealed with all offers there, and yet units are missing.
  bool Short() const;

  bool HasWork() const { return state_ == ReaderState::kPulling && !todo_.empty(); }
  size_t NextBytes() const { return RectBytes(remote_, todo_.front().rect); }
  // Takes the next chunk; it counts as being read under `tag` until FinishRead. `slot` of the staging, if it
  // converts.
  PostPull StartRead(uint64_t tag, size_t slot, MonoTime now);
  // nullopt: no such read.
  std::optional<Read> FinishRead(uint64_t tag);
  void Retry(Chunk chunk) { todo_.push_back(std::move(chunk)); }
  VerifyUnits StartVerify(uint64_t tag, size_t slot, Chunk chunk);
  // The chunk verified under `tag`, which was right; nullopt: no such chunk.
  std::optional<Chunk> FinishVerify(uint64_t tag);
  // From its slot of the staging to its place.
  ConvertUnits Convert(const Chunk& chunk, size_t slot) const;
  void Verified(const Chunk& chunk);
  void DropWork() { todo_.clear(); }
  std::map<uint64_t, Read>& reads() { return reads_; }
  const std::map<uint64_t, Read>& reads() const { return reads_; }

  // Managed by HandoffReader.
  bool queued = false;  // for reads
  Backoff retry, resend;
  SentRequests opens, renews;
  MonoTime next_request;  // Open or Confirm
  MonoTime heard_until;   // while opening or confirming: lost then, unless the owner is heard
  MonoTime next_renew = absl::InfiniteFuture();
  absl::Duration renew_every = absl::InfiniteDuration();
  MonoTime close_by = absl::InfiniteFuture();  // while fencing
  MonoTime fence_by = absl::InfiniteFuture();
  MonoTime NextDeadline() const;

 private:
  struct Offered {
    UnitRect rect;
    std::vector<PageId> pages;
    std::vector<uint64_t> checksums;
    int64_t unverified = 0;  // cells; at 0 pages and checksums are dropped
  };
  absl::Status SetRemote(const v1::Opened& opened);
  PageMap OurPages() const { return {begun_.rank, 0, begun_.pages}; }
  // Where the units of a chunk land: their places, or one after the other in the slot.
  std::vector<ByteRange> Landing(const Chunk& chunk, size_t slot) const;
  absl::Status CheckOffer(const v1::Offer& offer, const UnitRect& rect) const;
  absl::Span<const uint64_t> ChecksumsOf(const Chunk& chunk) const;

  const ReaderOptions& options_;
  PullBegin begun_;
  PeerId peer_;
  ReaderState state_ = ReaderState::kOpening;

  KvShard part_;   // of the model
  KvView view_;    // of it in our pool
  KvView remote_;  // in the owner's
  bool inexact_ = false;
  uint64_t lease_ = 0;
  Id128 secret_;
  std::string remote_key_;
  MonoTime lease_until_ = absl::InfiniteFuture();
  MonoTime hard_until_ = absl::InfiniteFuture();

  std::map<uint64_t, Offered> offers_;
  uint64_t contiguous_ = 0;
  UnitGrid offered_;
  int64_t cells_wanted_ = 0, cells_offered_ = 0, cells_verified_ = 0;
  std::optional<uint64_t> sealed_offers_;
  TokenId first_token_ = 0;
  std::vector<TokenScore> scores_;

  std::deque<Chunk> todo_;
  std::map<uint64_t, Read> reads_;       // in flight, by tag
  std::map<uint64_t, Chunk> verifying_;  // by tag
};

}  // namespace baton
