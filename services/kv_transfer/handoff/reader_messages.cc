// The verbs that an owner sends, one function each, and those of ours.

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "services/kv_transfer/handoff/reader.h"

namespace baton {
namespace {

constexpr int kRenewalsPerLease = 4;

absl::Duration Milliseconds(uint64_t ms) {
  return absl::Milliseconds(static_cast<int64_t>(std::min<uint64_t>(ms, uint64_t{1} << 40)));
}

// What a peer gave as its reason, fit for a log.
std::string Words(const std::string& reason) {
  return absl::CHexEscape(reason.substr(0, 200));
}

}  // namespace

bool HandoffReader::EndsPull(const Pull& pull, const v1::Handoff& message) {
  switch (message.verb_case()) {
    case v1::Handoff::kRefused:
      return pull.state() == ReaderState::kOpening && !message.refused().retry();
    case v1::Handoff::kRevoke:
      return pull.lease() != 0 && message.revoke().lease() == pull.lease();
    case v1::Handoff::kVerdict:
      return pull.lease() != 0 && message.verdict().lease() == pull.lease() && !message.verdict().held();
    default:
      return false;
  }
}

void HandoffReader::OnMessage(PeerId from, const v1::Handoff& message, MonoTime now, ReaderActions* out) {
  const HandoffId id = FromProto(message.key());
  auto it = pulls_.find(id);
  Pull* pull = it == pulls_.end() || it->second.state() == ReaderState::kFencing ? nullptr : &it->second;
  if (pull != nullptr && pull->peer() != from) {
    ++counters_.stale;
    return;
  }
  if (pull != nullptr) pull->heard_until = now + options_.silence;
  if (message.verb_case() == v1::Handoff::kOpened) {
    OnOpened(from, pull, message, now, out);
  } else if (pull == nullptr) {
    ++counters_.stale;
    return;
  } else if (FromProto(message.sender_epoch()) != pull->begun().owner.epoch) {
    ++counters_.stale;
    if (EndsPull(*pull, message)) Lose(*pull, absl::UnavailableError("the owner has restarted"), now, out);
  } else {
    Dispatch(*pull, message, now, out);
  }
  PumpReads(now, out);
  File(id);
}

void HandoffReader::Dispatch(Pull& pull, const v1::Handoff& message, MonoTime now, ReaderActions* out) {
  const bool opened = pull.lease() != 0;
  const auto ours = [&](uint64_t lease) {
    const bool same = opened && lease == pull.lease();
    counters_.stale += !same;
    return same;
  };
  switch (message.verb_case()) {
    case v1::Handoff::kRefused:
      return OnRefused(pull, message.refused(), now, out);
    case v1::Handoff::kOffer:
      return ours(message.offer().lease()) ? OnOffer(pull, message.offer(), now, out) : void();
    case v1::Handoff::kSeal:
      return ours(message.seal().lease()) ? OnSeal(pull, message.seal(), now, out) : void();
    case v1::Handoff::kRenewed:
      return ours(message.renewed().lease()) ? OnRenewed(pull, message.renewed()) : void();
    case v1::Handoff::kVerdict:
      return ours(message.verdict().lease()) ? OnVerdict(pull, message.verdict(), now, out) : void();
    case v1::Handoff::kRevoke:
      if (!ours(message.revoke().lease())) return;
      if (pull.state() == ReaderState::kConfirming)
        return;  // the Verdict is the answer, and it may be *held*
      ++counters_.revoked;
      return Lose(pull, absl::AbortedError(absl::StrCat("revoked: ", Words(message.revoke().reason()))), now,
                  out);
    default:
      ++counters_.malformed;
  }
}

void HandoffReader::OnOpened(PeerId from, Pull* pull, const v1::Handoff& message, MonoTime now,
                             ReaderActions* out) {
  const v1::Opened& opened = message.opened();
  const Epoch owner = FromProto(message.sender_epoch());
  if (opened.lease() == 0 || opened.remote_key().size() > 4096) {
    ++counters_.malformed;
    return;
  }
  if (pull == nullptr) {  // given up before the answer came
    ++counters_.stale;
    return SendRelease(from, FromProto(message.key()), owner, opened.lease(), FromProto(opened.secret()),
                       out);
  }
  const std::optional<MonoTime> sent = pull->opens.Find(opened.serial());
  if (pull->state() != ReaderState::kOpening || owner != pull->begun().owner.epoch || !sent.has_value()) {
    ++counters_.stale;
    return;
  }
  if (const absl::Status status = pull->Begin(opened, *sent); !status.ok()) {
    SetState(*pull, ReaderState::kPulling);
    return Lose(*pull, status, now, out);
  }
  pull->next_request = absl::InfiniteFuture();
  pull->next_renew = *sent + Milliseconds(opened.lease_ms()) / kRenewalsPerLease;
  pull->renew_every = std::max(Milliseconds(opened.lease_ms()) / kRenewalsPerLease, options_.retry_min);
  SetState(*pull, ReaderState::kPulling);
}

void HandoffReader::OnRefused(Pull& pull, const v1::Refused& refused, MonoTime now, ReaderActions* out) {
  if (pull.state() != ReaderState::kOpening) {
    ++counters_.stale;
    return;
  }
  if (refused.retry()) {
    pull.resend.Reset();
    pull.next_request = pull.retry.Next(now);
    return;
  }
  ++counters_.refused;
  Lose(pull, absl::FailedPreconditionError(absl::StrCat("refused: ", Words(refused.reason()))), now, out);
}

void HandoffReader::OnOffer(Pull& pull, const v1::Offer& offer, MonoTime now, ReaderActions* out) {
  const absl::StatusOr<bool> added = pull.AddOffer(offer);
  if (!added.ok()) {
    ++counters_.malformed;
    return Lose(pull, absl::DataLossError(added.status().message()), now, out);
  }
  counters_.stale += !*added;
  SendAck(pull, out);
  Enqueue(pull);
  ConfirmIfComplete(pull, now, out);
}

void HandoffReader::OnSeal(Pull& pull, const v1::Seal& seal, MonoTime now, ReaderActions* out) {
  if (const absl::Status status = pull.AddSeal(seal); !status.ok()) return Lose(pull, status, now, out);
  SendAck(pull, out);
  ConfirmIfComplete(pull, now, out);
}

void HandoffReader::OnRenewed(Pull& pull, const v1::Renewed& renewed) {
  const std::optional<MonoTime> sent = pull.renews.Find(renewed.serial());
  if (!sent.has_value()) {
    ++counters_.stale;
    return;
  }
  pull.Renewed(*sent, Milliseconds(renewed.lease_ms()));
}

void HandoffReader::OnVerdict(Pull& pull, const v1::Verdict& verdict, MonoTime now, ReaderActions* out) {
  if (pull.state() != ReaderState::kConfirming) {
    ++counters_.stale;
    return;
  }
  if (verdict.held()) return Hold(pull, out);
  Lose(pull, absl::AbortedError(absl::StrCat("lost: ", Words(verdict.reason()))), now, out);
}

void HandoffReader::SendOpen(Pull& pull, MonoTime now, ReaderActions* out) {
  const PullBegin& begun = pull.begun();
  v1::Handoff message = NewMessage(pull.id(), options_.epoch);
  v1::Open& open = *message.mutable_open();
  ToProto(begun.owner.epoch, open.mutable_owner_epoch());
  ToProto(options_.epoch, open.mutable_reader_epoch());
  open.set_owner_rank(begun.owner.rank);
  open.set_reader_rank(begun.rank);
  open.set_begin_token(begun.begin);
  open.set_end_token(begun.end);
  open.set_fingerprint(options_.fingerprint);
  open.set_model(options_.model);
  ToProto(options_.layout, open.mutable_layout());
  ToProto(pull.part(), open.mutable_part());
  open.set_inexact(options_.inexact);
  open.set_hard_ms(std::max<int64_t>(1, absl::ToInt64Milliseconds(begun.deadline - now)));
  open.set_reader(options_.name);
  counters_.resent += pull.opens.count() > 0;
  open.set_serial(pull.opens.Add(now));
  out->push_back(WireSend{pull.peer(), std::move(message)});
  pull.next_request = pull.resend.Next(now);
}

void HandoffReader::SendRenew(Pull& pull, MonoTime now, ReaderActions* out) {
  v1::Handoff message = NewMessage(pull.id(), options_.epoch);
  v1::Renew& renew = *message.mutable_renew();
  ToProto(pull.begun().owner.epoch, renew.mutable_owner_epoch());
  renew.set_lease(pull.lease());
  ToProto(pull.secret(), renew.mutable_secret());
  renew.set_serial(pull.renews.Add(now));
  out->push_back(WireSend{pull.peer(), std::move(message)});
  pull.next_renew = now + pull.renew_every;
}

void HandoffReader::SendConfirm(Pull& pull, MonoTime now, ReaderActions* out) {
  v1::Handoff message = NewMessage(pull.id(), options_.epoch);
  v1::Confirm& confirm = *message.mutable_confirm();
  ToProto(pull.begun().owner.epoch, confirm.mutable_owner_epoch());
  ToProto(options_.epoch, confirm.mutable_reader_epoch());
  confirm.set_lease(pull.lease());
  ToProto(pull.secret(), confirm.mutable_secret());
  confirm.set_offers(pull.offers());
  counters_.resent += pull.next_request != absl::InfiniteFuture();
  out->push_back(WireSend{pull.peer(), std::move(message)});
  pull.next_request = pull.resend.Next(now);
}

void HandoffReader::SendAck(const Pull& pull, ReaderActions* out) {
  v1::Handoff message = NewMessage(pull.id(), options_.epoch);
  v1::OfferAck& ack = *message.mutable_offer_ack();
  ack.set_lease(pull.lease());
  ack.set_number(pull.contiguous());
  ack.set_sealed(pull.sealed());
  ToProto(pull.secret(), ack.mutable_secret());
  out->push_back(WireSend{pull.peer(), std::move(message)});
}

void HandoffReader::SendRelease(PeerId to, const HandoffId& id, const Epoch& owner, uint64_t lease,
                                const Id128& secret, ReaderActions* out) {
  v1::Handoff message = NewMessage(id, options_.epoch);
  v1::Release& release = *message.mutable_release();
  release.set_lease(lease);
  ToProto(secret, release.mutable_secret());
  ToProto(owner, release.mutable_owner_epoch());
  out->push_back(WireSend{to, std::move(message)});
}

}  // namespace baton
