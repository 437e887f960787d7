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
      offered_((begin.end + kAtomTokens - 1) / kAtomTokens, options.layout.layers) {
  const UnitRect all{begin.begin, begin.end, 0, options.layout.layers};
  cells_wanted_ = all.atoms() * all.layers();
}

void Pull::Begin(const v1::Opened& opened, MonoTime sent) {
  constexpr uint64_t kMostMs = uint64_t{1} << 40;
  lease_ = opened.lease();
  secret_ = FromProto(opened.secret());
  remote_key_ = opened.remote_key();
  lease_until_ = sent + absl::Milliseconds(static_cast<int64_t>(std::min(opened.lease_ms(), kMostMs)));
  hard_until_ = sent + absl::Milliseconds(static_cast<int64_t>(std::min(opened.hard_ms(), kMostMs)));
}

absl::Status Pull::CheckOffer(const v1::Offer& offer, const UnitRect& rect) const {
  const KvLayout& layout = options_.layout;
  BATON_RETURN_IF_ERROR(CheckRect(layout, rect, begun_.end));
  if (rect.begin < begun_.begin) return absl::InvalidArgumentError("offered tokens that were not asked for");
  if (offer.checksums_size() != static_cast<int64_t>(RectUnits(layout, rect))) {
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
  for (const UnitRect& part : SplitRect(options_.layout, rect, options_.max_read_bytes))
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
  sealed_offers_ = seal.offers();
  first_token_ = seal.first_token();
  return absl::OkStatus();
}

bool Pull::Complete() const {
  return sealed_offers_ == contiguous_ && contiguous_ == offers_.size() && cells_verified_ == cells_wanted_;
}

bool Pull::Short() const {
  return sealed_offers_ == contiguous_ && cells_offered_ < cells_wanted_;
}

PostPull Pull::StartRead(uint64_t tag, MonoTime now) {
  const Chunk chunk = todo_.front();
  todo_.pop_front();
  const KvLayout& layout = options_.layout;
  const Offered& offer = offers_.at(chunk.offer);
  const int64_t first_token = offer.rect.begin / layout.PageTokens() * layout.PageTokens();

  PostPull post{peer_, tag, NewMessage(id(), options_.epoch), remote_key_, {}, {}};
  v1::Pull& pull = *post.pull.mutable_pull();
  ToProto(begun_.owner.epoch, pull.mutable_owner_epoch());
  pull.set_lease(lease_);
  ToProto(secret_, pull.mutable_secret());
  pull.set_begin_token(chunk.rect.begin);
  pull.set_end_token(chunk.rect.end);
  pull.set_first_layer(chunk.rect.first_layer);
  pull.set_end_layer(chunk.rect.end_layer);
  post.ops = RectCopies(layout, chunk.rect, {begun_.owner.rank, first_token, offer.pages},
                        {begun_.rank, 0, begun_.pages});
  if (options_.wire_verifies) post.checks = RectRangeChecks(layout, chunk.rect, ChecksumsOf(chunk));
  reads_[tag] = {chunk, peer_, RectBytes(layout, chunk.rect), now + options_.read_timeout, false};
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
  const KvLayout& layout = options_.layout;
  const Offered& offer = offers_.at(chunk.offer);
  const int64_t cell = (chunk.rect.first_atom() - offer.rect.first_atom()) * offer.rect.layers() +
                       (chunk.rect.first_layer - offer.rect.first_layer);
  return absl::MakeConstSpan(offer.checksums)
      .subspan(cell * layout.UnitsPerLayer(), RectUnits(layout, chunk.rect));
}

VerifyUnits Pull::StartVerify(uint64_t tag, Chunk chunk) {
  VerifyUnits verify{
      tag, RectChecks(options_.layout, chunk.rect, {begun_.rank, 0, begun_.pages}, ChecksumsOf(chunk))};
  verifying_[tag] = std::move(chunk);
  return verify;
}

bool Pull::FinishVerify(uint64_t tag) {
  auto it = verifying_.find(tag);
  if (it == verifying_.end()) return false;
  Verified(it->second);
  verifying_.erase(it);
  return true;
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
