#include "services/kv_transfer/handoff/reader_pull.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "common/status_macros.h"

namespace baton {

uint64_t SentRequests::Add(MonoTime now) {
  at_[++last_ % kKept] = now;
  return last_;
}

std::optional<MonoTime> SentRequests::Find(uint64_t serial) const {
  if (serial == 0 || serial > last_ || last_ - serial >= kKept) return std::nullopt;
  return at_[serial % kKept];
}

Pull::Pull(const PullBegin& begin, PeerId peer, const ReaderOptions& options, MonoTime now)
    : retry(options.retry_min, options.retry_max),
      resend(options.resend_min, options.resend_max),
      next_request(now),
      heard_until(now + options.silence),
      options_(options),
      begun_(begin),
      peer_(peer),
      part_(begin.part.empty() ? ShardOrAll(options.shard, options.layout) : begin.part),
      view_(options.layout, ShardOrAll(options.shard, options.layout), part_),
      remote_(view_),
      offered_((begin.end + kAtomTokens - 1) / kAtomTokens, view_.layers) {
  const UnitRect all{begin.begin, begin.end, 0, view_.layers};
  cells_wanted_ = all.atoms() * all.layers();
}

absl::Status Pull::SetRemote(const v1::Opened& opened) {
  inexact_ = opened.inexact();
  if (inexact_ && !options_.inexact)
    return absl::FailedPreconditionError("the owner's KV is of another numeric fingerprint");
  // An owner that knows of no models would let another's pass.
  const bool same_model = !options_.model.empty() && opened.model() == options_.model;
  const auto other_model = absl::FailedPreconditionError("the owner's KV is of another model");
  if (inexact_ && !same_model) return other_model;
  if (!opened.has_layout()) return absl::OkStatus();
  BATON_ASSIGN_OR_RETURN(const KvLayout layout, FromProto(opened.layout()));
  const KvShard all{0, layout.layers, 0, layout.kv_heads};
  const KvShard shard = opened.has_shard() ? FromProto(opened.shard()) : all;
  const bool holds = Intersect(shard, part_) == part_ &&
                     shard.end_layer - shard.first_layer == layout.layers &&
                     shard.end_head - shard.first_head == layout.kv_heads;
  if (!holds || layout.head_dim != options_.layout.head_dim)
    return absl::DataLossError("the owner's KV layout does not hold what was asked for");
  remote_ = KvView(layout, shard, part_);
  if (!converts()) return absl::OkStatus();
  inexact_ = true;
  if (options_.inexact && !same_model) return other_model;
  if (options_.inexact &&
      std::max(options_.max_read_bytes, remote_.LayerBytes()) <= options_.staging_slot_bytes)
    return absl::OkStatus();
  return absl::FailedPreconditionError("the owner's KV dtype differs");
}

absl::Status Pull::Begin(const v1::Opened& opened, MonoTime sent) {
  constexpr uint64_t kMostMs = uint64_t{1} << 40;
  lease_ = opened.lease();
  secret_ = FromProto(opened.secret());
  remote_key_ = opened.remote_key();
  lease_until_ = sent + absl::Milliseconds(static_cast<int64_t>(std::min(opened.lease_ms(), kMostMs)));
  hard_until_ = sent + absl::Milliseconds(static_cast<int64_t>(std::min(opened.hard_ms(), kMostMs)));
  return SetRemote(opened);
}

absl::Status Pull::CheckOffer(const v1::Offer& offer, const UnitRect& rect) const {
  const KvLayout& layout = remote_.layout;
  BATON_RETURN_IF_ERROR(CheckRect(view_, rect, begun_.end));
  if (rect.begin < begun_.begin) return absl::InvalidArgumentError("offered tokens that were not asked for");
  if (offer.checksums_size() != static_cast<int64_t>(RectUnits(view_, rect))) {
    return absl::InvalidArgumentError("an offer's checksums are not as many as its units");
  }
  const int64_t pages = layout.PagesFor(rect.end) - rect.begin / layout.PageTokens();
  if (offer.pages_size() != pages)
    return absl::InvalidArgumentError("an offer's pages do not fit its tokens");
  for (const uint32_t page : offer.pages()) {
    if (page > INT32_MAX) return absl::InvalidArgumentError("an offer names an impossible page");
  }
  if (offered_.Any(rect)) return absl::InvalidArgumentError("units were offered twice");
  return absl::OkStatus();
}

absl::StatusOr<bool> Pull::AddOffer(const v1::Offer& offer) {
  const uint64_t number = offer.number();
  if (offers_.contains(number)) return false;
  if (number == 0 || number > options_.max_offers)
    return absl::InvalidArgumentError("an offer's number is impossible");
  if (sealed_offers_.has_value() && number > *sealed_offers_) {
    return absl::InvalidArgumentError("more offers than were sealed");
  }
  const UnitRect rect = RectOf(offer);
  BATON_RETURN_IF_ERROR(CheckOffer(offer, rect));
  offered_.Set(rect);
  Offered& added = offers_[number];
  added.rect = rect;
  added.pages.assign(offer.pages().begin(), offer.pages().end());
  added.checksums.assign(offer.checksums().begin(), offer.checksums().end());
  added.unverified = rect.atoms() * rect.layers();
  cells_offered_ += added.unverified;
  while (offers_.contains(contiguous_ + 1)) ++contiguous_;
  for (const UnitRect& part : SplitRect(remote_, rect, options_.max_read_bytes))
    todo_.push_back({number, part});
  return true;
}

absl::Status Pull::AddSeal(const v1::Seal& seal) {
  if (FromProto(seal.digest()) != begun_.digest) return absl::DataLossError("the owner sealed other tokens");
  if (sealed_offers_.has_value() &&
      (*sealed_offers_ != seal.offers() || first_token_ != seal.first_token())) {
    return absl::DataLossError("sealed twice, differently");
  }
  if (seal.tokens() < static_cast<uint64_t>(begun_.end)) {
    return absl::DataLossError(
        absl::StrFormat("the owner sealed %d tokens of %d", seal.tokens(), begun_.end));
  }
  if (!offers_.empty() && offers_.rbegin()->first > seal.offers()) {
    return absl::DataLossError("more offers than were sealed");
  }
  if (seal.offers() > options_.max_offers)
    return absl::DataLossError("an impossible number of offers was sealed");
  if (seal.scores_size() > kMaxTokenScores)
    return absl::DataLossError("an impossible number of scores was sealed");
  sealed_offers_ = seal.offers();
  first_token_ = seal.first_token();
  scores_.clear();
  for (const v1::TokenScore& score : seal.scores()) scores_.push_back({score.token(), score.logprob()});
  return absl::OkStatus();
}

bool Pull::Complete() const {
  return sealed_offers_ == contiguous_ && contiguous_ == offers_.size() && cells_verified_ == cells_wanted_;
}

bool Pull::Short() const {
  return sealed_offers_ == contiguous_ && cells_offered_ < cells_wanted_;
}

std::vector<ByteRange> Pull::Landing(const Chunk& chunk, size_t slot) const {
  if (!converts()) return RectUnitRanges(view_, chunk.rect, OurPages());
  std::vector<ByteRange> out;
  uint64_t offset = slot * options_.staging_slot_bytes;
  for (const RangeCheck& unit : RectRangeChecks(remote_, chunk.rect, ChecksumsOf(chunk))) {
    out.push_back({options_.staging_region, offset, unit.length});
    offset += unit.length;
  }
  return out;
}

PostPull Pull::StartRead(uint64_t tag, size_t slot, MonoTime now) {
  const Chunk chunk = todo_.front();
  todo_.pop_front();
  const Offered& offer = offers_.at(chunk.offer);
  const int64_t page_tokens = remote_.layout.PageTokens();
  const PageMap theirs{begun_.owner.rank, offer.rect.begin / page_tokens * page_tokens, offer.pages};

  PostPull post{peer_, tag, NewMessage(id(), options_.epoch), remote_key_, {}, {}};
  v1::Pull& pull = *post.pull.mutable_pull();
  ToProto(begun_.owner.epoch, pull.mutable_owner_epoch());
  pull.set_lease(lease_);
  ToProto(secret_, pull.mutable_secret());
  pull.set_begin_token(chunk.rect.begin);
  pull.set_end_token(chunk.rect.end);
  pull.set_first_layer(chunk.rect.first_layer);
  pull.set_end_layer(chunk.rect.end_layer);
  if (converts()) {
    uint64_t to = slot * options_.staging_slot_bytes;
    for (const ByteRange& from : RectRanges(remote_, chunk.rect, theirs)) {
      post.ops.push_back({from.region, from.offset, options_.staging_region, to, from.length});
      to += from.length;
    }
  } else {
    post.ops = RectCopies(chunk.rect, remote_, theirs, view_, OurPages());
  }
  if (options_.wire_verifies) post.checks = RectRangeChecks(remote_, chunk.rect, ChecksumsOf(chunk));
  reads_[tag] = {chunk, peer_, RectBytes(remote_, chunk.rect), now + options_.read_timeout, false};
  return post;
}

std::optional<Pull::Read> Pull::FinishRead(uint64_t tag) {
  auto it = reads_.find(tag);
  if (it == reads_.end()) return std::nullopt;
  Read read = std::move(it->second);
  reads_.erase(it);
  return read;
}

void Pull::Reconnect(PeerId peer, MonoTime now) {
  peer_ = peer;
  if (state_ == ReaderState::kPulling) next_renew = now;
  if (AwaitsAnswer()) next_request = now;
}

absl::Span<const uint64_t> Pull::ChecksumsOf(const Chunk& chunk) const {
  const Offered& offer = offers_.at(chunk.offer);
  const int64_t cell = (chunk.rect.first_atom() - offer.rect.first_atom()) * offer.rect.layers() +
                       (chunk.rect.first_layer - offer.rect.first_layer);
  return absl::MakeConstSpan(offer.checksums)
      .subspan(cell * view_.UnitsPerLayer(), RectUnits(view_, chunk.rect));
}

VerifyUnits Pull::StartVerify(uint64_t tag, size_t slot, Chunk chunk) {
  VerifyUnits verify{tag, {}};
  const absl::Span<const uint64_t> checksums = ChecksumsOf(chunk);
  for (const ByteRange& range : Landing(chunk, slot))
    verify.units.push_back({range, checksums[verify.units.size()]});
  verifying_[tag] = std::move(chunk);
  return verify;
}

std::optional<Pull::Chunk> Pull::FinishVerify(uint64_t tag) {
  auto it = verifying_.find(tag);
  if (it == verifying_.end()) return std::nullopt;
  Chunk chunk = std::move(it->second);
  verifying_.erase(it);
  return chunk;
}

ConvertUnits Pull::Convert(const Chunk& chunk, size_t slot) const {
  ConvertUnits convert{remote_.layout.dtype, view_.layout.dtype, {}};
  const std::vector<ByteRange> from = Landing(chunk, slot);
  for (const ByteRange& to : RectUnitRanges(view_, chunk.rect, OurPages()))
    convert.units.emplace_back(from[convert.units.size()], to);
  return convert;
}

void Pull::Verified(const Chunk& chunk) {
  const int64_t cells = chunk.rect.atoms() * chunk.rect.layers();
  Offered& offer = offers_.at(chunk.offer);
  cells_verified_ += cells;
  offer.unverified -= cells;
  if (offer.unverified == 0) {
    offer.pages = {};
    offer.checksums = {};
  }
}

MonoTime Pull::NextDeadline() const {
  if (state_ == ReaderState::kFencing) return std::min(close_by, fence_by);
  MonoTime next = std::min({begun_.deadline, next_request, next_renew});
  if (state_ == ReaderState::kPulling) next = std::min(next, lease_until());
  if (AwaitsAnswer()) next = std::min(next, heard_until);
  for (const auto& [tag, read] : reads_) {
    if (!read.aborted) next = std::min(next, read.deadline);
  }
  return next;
}

}  // namespace baton
