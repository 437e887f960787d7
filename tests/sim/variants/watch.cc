// What a story watches: the promises of docs/handoff.md.

#include <algorithm>

#include "tests/sim/variants/story.h"

namespace baton::testing {

void Story::CheckGuard(const Handoff& h) {
  if (h.guarded && ChecksumsOf(reader_memory_, 0, Whole(h), h.to) != h.guard) {
    Broken("a late read wrote into free pages");
  }
}

void Story::CheckLives() {
  if (owner_ == nullptr) return;
  std::set<Epoch> lives;
  for (int n = 0; n < kIds; ++n) {
    const OwnedLease* record = owner_->owner().Find(Id(n));
    if (record != nullptr && record->lease() != 0) lives.insert(record->begun().reader_epoch);
  }
  if (lives.size() > 1) Broken("a reader has leases of two lives");
}

void Story::CheckAtRest() {
  for (const Handoff& h : handoffs_) {
    if (h.owned) Broken("a record never ended");
    if (h.pulling) Broken("a pull never ended");
    if (h.fence_due) Broken("a pull was never fenced");
    CheckGuard(h);
  }
  if (owner_ != nullptr) {
    const HandoffOwner& owner = owner_->owner();
    if (owner.records() + owner.verdicts() + owner.pending() != 0)
      Broken("the owner forgets something never");
    if (owner.NextDeadline() != absl::InfiniteFuture()) Broken("the owner does not come to rest");
  }
  if (reader_->reader().pulls() != 0) Broken("pulls are left");
  if (reader_->overdue()) Broken("a fence never came");
  if (mode_ == 0 && held_ != kIds) Broken("without faults something was lost");
}

void Story::On(const HandoffEvent& event) {
  if (const auto* ended = std::get_if<OwnEnded>(&event)) return OnEnded(*ended);
  if (const auto* held = std::get_if<PullHeld>(&event)) return OnHeld(*held);
  const HandoffId id = std::visit([](const auto& e) { return e.id; }, event);
  Handoff& h = Of(id);
  if (const auto* lost = std::get_if<PullLost>(&event)) {
    if (!h.pulling) Broken("a pull ended twice");
    h.pulling = false;
    h.fence_due = !lost->fenced;
    if (lost->fenced) Free(h);
  } else {
    if (!h.fence_due) Broken("fenced without need");
    h.fence_due = false;
    Free(h);
  }
}

void Story::OnEnded(const OwnEnded& e) {
  Handoff& h = Of(e.id);
  if (!h.owned) return Broken("a record ended twice");
  h.owned = false;
  const UnitRect offered{0, h.offered, 0, kSmallLayout.layers};
  if (h.offered == h.tokens && ChecksumsOf(owner_memory_, 0, offered, h.from) != h.truth) {
    Broken("offered bytes changed while the lease lived");
  }
  if (e.held) {
    h.held.push_back(h.truth);
    if (!confirmed_.contains({h.secret.hi, h.secret.lo})) Broken("held, and its reader never confirmed");
    const Pull* pull = reader_->reader().Find(e.id);
    if (pull != nullptr && pull->state() == ReaderState::kConfirming && pull->secret() == h.secret &&
        ChecksumsOf(reader_memory_, 0, Whole(h), h.to) != h.truth) {
      Broken("held, and the reader has other bytes");
    }
  }
  Scribble(owner_memory_, h.from);
}

void Story::OnHeld(const PullHeld& e) {
  Handoff& h = Of(e.id);
  if (!h.pulling) Broken("a pull ended twice");
  h.pulling = false;
  ++held_;
  const auto bytes = ChecksumsOf(reader_memory_, 0, Whole(h), h.to);
  if (h.held.empty()) Broken("used, though the owner never said held");
  if (std::find(h.held.begin(), h.held.end(), bytes) == h.held.end()) Broken("wrong bytes were used");
  Free(h);
}

void Story::OnOpened(const v1::Handoff& sent) {
  const HandoffId id = FromProto(sent.key());
  const Id128 secret = FromProto(sent.opened().secret());
  Of(id).secret = secret;
  const auto [lease, fresh] = leases_.try_emplace({owner_epoch_, sent.opened().lease()}, secret);
  if (!fresh && lease->second != secret) Broken("a lease id was used twice");
  const OwnedLease* record = owner_->owner().Find(id);
  if (record == nullptr) return;
  const Epoch life = record->begun().reader_epoch;
  if (life == granted_to_) return;
  const auto before = followed_.find(life);
  if (before != followed_.end() && clock_.Now() < before->second + kLease) {
    Broken("a life of the reader that another had followed opened again");
  }
  if (!granted_to_.empty()) followed_[granted_to_] = clock_.Now();
  granted_to_ = life;
}

void Story::OnOwnerSends(PeerId to, const v1::Handoff& sent, const v1::Handoff* heard) {
  const HandoffId id = FromProto(sent.key());
  if (sent.has_opened()) OnOpened(sent);
  if (sent.has_refused() && !sent.refused().retry() && heard != nullptr && heard->has_open() &&
      sent.refused().reason() == "the reader has restarted" &&
      FromProto(heard->open().reader_epoch()) == reader_epoch_) {
    Broken("the living reader was refused for good as an old life");
  }
  if (!sent.has_verdict() || heard == nullptr || !heard->has_confirm()) return;
  if (!confirmed_.contains({heard->confirm().secret().hi(), heard->confirm().secret().lo()})) return;
  const auto key = std::make_tuple(owner_epoch_, to, id, sent.verdict().lease());
  const auto [said, first] = verdicts_.try_emplace(key, Said{sent.verdict().held(), clock_.Now()});
  if (!first && said->second.held != sent.verdict().held() &&
      clock_.Now() < said->second.at + absl::Seconds(8)) {
    Broken("a verdict changed");
  }
}

void Story::OnReaderSends(const v1::Handoff& sent) {
  if (sent.has_confirm()) confirmed_.insert({sent.confirm().secret().hi(), sent.confirm().secret().lo()});
}

}  // namespace baton::testing
