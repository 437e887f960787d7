#include "services/kv_transfer/handoff/owner_lease.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "common/status_macros.h"

namespace baton {

OwnedLease::OwnedLease(const OwnBegin& begin, const OwnerOptions& options, MonoTime now)
    : options_(options),
      begun_(begin),
      open_by_(now + options.open_within),
      offered_((begin.tokens + kAtomTokens - 1) / kAtomTokens, options.layout.layers),
      backoff_(options.resend_min, options.resend_max) {}

void OwnedLease::Grant(uint64_t lease, const Id128& secret, PeerId peer, const Wanted& wanted, MonoTime now,
                       MonoTime hard_deadline) {
  lease_ = lease;
  secret_ = secret;
  peer_ = peer;
  wanted_begin_ = wanted.begin;
  wanted_end_ = wanted.end;
  wanted_part_ = wanted.part;
  view_ = KvView(options_.layout, ShardOrAll(options_.shard, options_.layout), wanted.part);
  begun_.hard_deadline = std::min(begun_.hard_deadline, hard_deadline);
  Renew(now);
  std::deque<Piece> before = std::move(pieces_);
  pieces_.clear();
  for (Piece& piece : before) Number(std::move(piece));
}

absl::Status OwnedLease::CheckOffer(const OwnOffer& offer) const {
  const KvLayout& layout = options_.layout;
  const UnitRect rect{offer.begin, offer.end, offer.first_layer, offer.end_layer};
  BATON_RETURN_IF_ERROR(CheckRect(layout, rect, begun_.tokens));
  if (sealed_) return absl::FailedPreconditionError("offered after the seal");
  if (offered_.Any(rect)) return absl::FailedPreconditionError("offered twice");
  const size_t offers = lease_ == 0 ? pieces_.size() : last_number_;
  if (offers >= options_.max_offers) return absl::ResourceExhaustedError("too many offers");
  if (offer.checksums.size() != RectUnits(layout, rect)) {
    return absl::InvalidArgumentError(absl::StrFormat("%d checksums offered for %d units",
                                                      offer.checksums.size(), RectUnits(layout, rect)));
  }
  if (static_cast<int64_t>(offer.pages.size()) < layout.PagesFor(offer.end)) {
    return absl::InvalidArgumentError("fewer pages than tokens offered");
  }
  const int64_t pool = options_.pages[begun_.rank];
  for (const PageId page : offer.pages) {
    if (page < 0 || page >= pool) return absl::InvalidArgumentError(absl::StrFormat("no page %d", page));
  }
  const size_t common = std::min(pages_.size(), offer.pages.size());
  if (!std::equal(pages_.begin(), pages_.begin() + common, offer.pages.begin())) {
    return absl::FailedPreconditionError("pages already offered were replaced");
  }
  return absl::OkStatus();
}

absl::Status OwnedLease::AddOffer(const OwnOffer& offer) {
  BATON_RETURN_IF_ERROR(CheckOffer(offer));
  const UnitRect rect{offer.begin, offer.end, offer.first_layer, offer.end_layer};
  offered_.Set(rect);
  if (offer.pages.size() > pages_.size()) pages_ = offer.pages;
  Queue({0, rect, offer.checksums});
  return absl::OkStatus();
}

void OwnedLease::Queue(Piece piece) {
  const size_t units_per_atom = RectUnits(options_.layout, piece.rect) / piece.rect.atoms();
  const int64_t atoms = std::max<int64_t>(1, options_.max_offer_units / units_per_atom);
  for (int64_t begin = piece.rect.begin; begin < piece.rect.end; begin += atoms * kAtomTokens) {
    Piece part{0, Clip(piece.rect, begin, begin + atoms * kAtomTokens), {}};
    const size_t skip = (part.rect.first_atom() - piece.rect.first_atom()) * units_per_atom;
    const auto first = piece.checksums.begin() + skip;
    part.checksums.assign(first, first + RectUnits(options_.layout, part.rect));
    if (lease_ == 0) {
      pieces_.push_back(std::move(part));
    } else {
      Number(std::move(part));
    }
  }
}

void OwnedLease::Number(Piece piece) {
  UnitRect wanted = Clip(piece.rect, wanted_begin_, wanted_end_);
  wanted.first_layer = std::max(wanted.first_layer, view_.first_layer);
  wanted.end_layer = std::min(wanted.end_layer, view_.first_layer + view_.layers);
  if (wanted.empty()) return;
  std::vector<uint64_t> checksums;
  checksums.reserve(RectUnits(view_, wanted));
  for (int64_t atom = wanted.first_atom(); atom < wanted.end_atom(); ++atom) {
    for (int32_t layer = wanted.first_layer; layer < wanted.end_layer; ++layer) {
      const int64_t cell =
          (atom - piece.rect.first_atom()) * piece.rect.layers() + (layer - piece.rect.first_layer);
      for (const int side : {0, 1}) {
        const int64_t unit = (cell * 2 + side) * options_.layout.kv_heads + view_.first_head;
        const auto first = piece.checksums.begin() + unit;
        checksums.insert(checksums.end(), first, first + view_.heads);
      }
    }
  }
  wanted.first_layer -= view_.first_layer;
  wanted.end_layer -= view_.first_layer;
  pieces_.push_back({++last_number_, wanted, std::move(checksums)});
}

void OwnedLease::Seal(const OwnSeal& seal) {
  sealed_ = true;
  digest_ = seal.digest;
  first_token_ = seal.first_token;
  scores_ = seal.scores;
  if (scores_.size() > kMaxTokenScores) scores_.resize(kMaxTokenScores);
}

uint64_t OwnedLease::WindowEnd() const {
  if (pieces_.empty()) return last_number_;
  return std::min<uint64_t>(last_number_, pieces_.front().number + options_.offer_window - 1);
}

bool OwnedLease::HasFresh() const {
  if (lease_ == 0) return false;
  return last_sent_ < WindowEnd() || (sealed_ && !seal_sent_ && WindowEnd() == last_number_);
}

void OwnedLease::Ack(uint64_t number, bool sealed, MonoTime now) {
  bool progress = sealed && seal_sent_ && !seal_acked_;
  seal_acked_ |= progress;
  const uint64_t acked = std::min(number, last_sent_);
  while (!pieces_.empty() && pieces_.front().number <= acked) {
    pieces_.pop_front();
    progress = true;
  }
  if (!progress) return;
  backoff_.Reset();
  resend_at_ = Waiting() ? backoff_.Next(now) : absl::InfiniteFuture();
}

size_t OwnedLease::TakeDue(MonoTime now, std::vector<v1::Handoff>* out) {
  const bool again = now >= resend_at_;
  if (!HasFresh() && !again) return 0;
  const uint64_t window_end = WindowEnd();
  size_t repeats = 0;
  for (const Piece& piece : pieces_) {
    if (piece.number > window_end) break;
    const bool sent = piece.number <= last_sent_;
    if (sent && !again) continue;
    out->push_back(OfferMessage(piece));
    repeats += sent;
  }
  last_sent_ = std::max(last_sent_, window_end);
  if (sealed_ && window_end == last_number_ && !seal_acked_ && (again || !seal_sent_)) {
    out->push_back(SealMessage());
    repeats += seal_sent_;
    seal_sent_ = true;
  }
  if (again || resend_at_ == absl::InfiniteFuture()) resend_at_ = backoff_.Next(now);
  return repeats;
}

v1::Handoff OwnedLease::OfferMessage(const Piece& piece) const {
  v1::Handoff message = NewMessage(id(), options_.epoch);
  v1::Offer& offer = *message.mutable_offer();
  offer.set_lease(lease_);
  offer.set_number(piece.number);
  offer.set_begin_token(piece.rect.begin);
  offer.set_end_token(piece.rect.end);
  offer.set_first_layer(piece.rect.first_layer);
  offer.set_end_layer(piece.rect.end_layer);
  offer.mutable_checksums()->Add(piece.checksums.begin(), piece.checksums.end());
  const int64_t first_page = piece.rect.begin / options_.layout.PageTokens();
  const int64_t end_page = options_.layout.PagesFor(piece.rect.end);
  for (int64_t page = first_page; page < end_page; ++page) offer.add_pages(pages_[page]);
  return message;
}

v1::Handoff OwnedLease::SealMessage() const {
  v1::Handoff message = NewMessage(id(), options_.epoch);
  v1::Seal& seal = *message.mutable_seal();
  seal.set_lease(lease_);
  seal.set_offers(last_number_);
  ToProto(digest_, seal.mutable_digest());
  seal.set_first_token(first_token_);
  seal.set_tokens(begun_.tokens);
  for (const TokenScore& score : scores_) {
    v1::TokenScore* added = seal.add_scores();
    added->set_token(score.token);
    added->set_logprob(score.logprob);
  }
  return message;
}

absl::StatusOr<std::vector<ByteRange>> OwnedLease::Locate(const UnitRect& rect) const {
  BATON_RETURN_IF_ERROR(CheckRect(view_, rect, begun_.tokens));
  if (rect.begin < wanted_begin_ || rect.end > wanted_end_)
    return absl::OutOfRangeError("outside what was opened");
  if (RectBytes(view_, rect) > std::max(options_.max_read_bytes, view_.LayerBytes())) {
    return absl::InvalidArgumentError("more than one read may ask for");
  }
  UnitRect kept = rect;
  kept.first_layer += view_.first_layer;
  kept.end_layer += view_.first_layer;
  if (!offered_.All(kept)) return absl::FailedPreconditionError("not offered");
  return RectRanges(view_, rect, {begun_.rank, 0, pages_});
}

}  // namespace baton
