// The verbs that a reader sends, one function each.

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "services/kv_transfer/handoff/owner.h"

namespace baton {
namespace {

uint64_t RemainingMs(MonoTime until, MonoTime now) {
  return static_cast<uint64_t>(std::max<int64_t>(0, absl::ToInt64Milliseconds(until - now)));
}

MonoTime HardDeadline(const v1::Open& open, const OwnerOptions& options, MonoTime now) {
  const auto ms = std::min<uint64_t>(open.hard_ms(), absl::ToInt64Milliseconds(options.max_hard));
  return now + absl::Milliseconds(static_cast<int64_t>(ms));
}

// "": what the reader computes is what we do, or may differ. With another model it never may; where one side
// names none (a pool knows its space's fingerprint only), only equal fingerprints do.
std::string WhyOtherwise(const OwnerOptions& ours, const v1::Open& open) {
  const auto differ = [](absl::string_view what, const std::string& owner, const std::string& reader) {
    return absl::StrCat(what, " differ: the owner's is ", owner, ", the reader's ",
                        absl::CHexEscape(reader.substr(0, 128)));
  };
  const bool same = open.fingerprint() == ours.fingerprint;
  if (!same && !(open.inexact() && ours.inexact))
    return differ("numeric fingerprints", ours.fingerprint, open.fingerprint());
  const bool both_named = !open.model().empty() && !ours.model.empty();
  if (both_named ? open.model() == ours.model : same) return "";
  return differ("models", ours.model, open.model());
}

}  // namespace

void HandoffOwner::OnMessage(PeerId from, const v1::Handoff& message, MonoTime now, OwnerActions* out) {
  const HandoffId id = FromProto(message.key());
  EndIfExpired(id, now, out);
  switch (message.verb_case()) {
    case v1::Handoff::kOpen:
      return OnOpen(from, id, message.open(), now, out);
    case v1::Handoff::kOfferAck:
      return OnOfferAck(id, message.offer_ack(), now, out);
    case v1::Handoff::kRenew:
      return OnRenew(from, id, message.renew(), now, out);
    case v1::Handoff::kConfirm:
      return OnConfirm(from, id, message.confirm(), now, out);
    case v1::Handoff::kRelease:
      return OnRelease(id, message.release(), now, out);
    default:
      ++counters_.malformed;
  }
}

void HandoffOwner::OnOpen(PeerId from, const HandoffId& id, const v1::Open& open, MonoTime now,
                          OwnerActions* out) {
  if (FromProto(open.owner_epoch()) != options_.epoch) {
    ++counters_.stale;
    return Refuse(from, id, "the owner has restarted", false, out);
  }
  if (open.reader().size() > 256 || FromProto(open.reader_epoch()).empty()) {
    ++counters_.malformed;
    return;
  }
  const KvShard shard = ShardOrAll(options_.shard, options_.layout);
  std::string why = WhyOtherwise(options_, open);
  if (why.empty()) why = WhyUnfit(options_.layout, shard, open);
  if (!why.empty()) {
    return Refuse(from, id, why, false, out);
  }
  if (Superseded(open, now)) return Refuse(from, id, "the reader has restarted", true, out);
  OwnedLease* record = FindRecord(id);
  if (record == nullptr) {
    auto over = ended_.find(id);
    if (over != ended_.end()) return Refuse(from, id, absl::StrCat("over: ", over->second), false, out);
    RememberOpen(from, id, open, now);
    return Refuse(from, id, "not begun here", true, out);
  }
  if (record->begun().reader_epoch != FromProto(open.reader_epoch())) {
    return Refuse(from, id, "begun for another epoch of the reader", false, out);
  }
  TryGrant(from, open, *record, now, out);
}

std::string HandoffOwner::WhyRefused(const v1::Open& open, const OwnedLease& record) const {
  const OwnBegin& begun = record.begun();
  if (open.owner_rank() != begun.rank || open.reader_rank() != begun.reader_rank) {
    return "the ranks are not those of this handoff";
  }
  const UnitRect rect{static_cast<int64_t>(std::min<uint64_t>(open.begin_token(), begun.tokens)),
                      static_cast<int64_t>(std::min<uint64_t>(open.end_token(), begun.tokens + 1)), 0,
                      options_.layout.layers};
  if (const absl::Status status = CheckRect(options_.layout, rect, begun.tokens); !status.ok()) {
    return std::string(status.message());
  }
  if (open.hard_ms() == 0) return "no time is left";
  const bool repeated = record.lease() != 0;
  if (repeated && (rect.begin != record.wanted_begin() || rect.end != record.wanted_end() ||
                   PartOf(open) != record.wanted_part())) {
    return "opened before for other tokens";
  }
  return "";
}

void HandoffOwner::TryGrant(PeerId from, const v1::Open& open, OwnedLease& record, MonoTime now,
                            OwnerActions* out) {
  if (const std::string why = WhyRefused(open, record); !why.empty())
    return Refuse(from, record.id(), why, false, out);
  if (record.lease() == 0) {
    if (verdicts_.size() + records_.size() >= options_.max_verdicts) {
      return Refuse(from, record.id(), "too many verdicts to remember", true, out);
    }
    const uint64_t lease = ++last_lease_;
    const OwnedLease::Wanted wanted{static_cast<int64_t>(open.begin_token()),
                                    static_cast<int64_t>(open.end_token()), PartOf(open)};
    record.Grant(lease, options_.new_secret(), from, wanted, now, HardDeadline(open, options_, now));
    ++counters_.opened;
    SetState(record, OwnerState::kLeased);
    if (record.sealed()) SetState(record, OwnerState::kSealed);
    NoteReader(open, lease, now, out);
  }
  record.set_peer(from);
  AnswerOpen(from, open, record, now, out);
  Pump(record, now, out);
}

void HandoffOwner::AnswerOpen(PeerId to, const v1::Open& open, const OwnedLease& record, MonoTime now,
                              OwnerActions* out) const {
  v1::Handoff message = NewMessage(record.id(), options_.epoch);
  v1::Opened& opened = *message.mutable_opened();
  opened.set_lease(record.lease());
  ToProto(record.secret(), opened.mutable_secret());
  opened.set_lease_ms(RemainingMs(record.lease_until(), now));
  opened.set_hard_ms(RemainingMs(record.hard_deadline(), now));
  ToProto(options_.epoch, opened.mutable_owner_epoch());
  opened.set_serial(open.serial());
  ToProto(options_.layout, opened.mutable_layout());
  ToProto(ShardOrAll(options_.shard, options_.layout), opened.mutable_shard());
  opened.set_inexact(open.fingerprint() != options_.fingerprint);
  opened.set_model(options_.model);
  if (record.begun().rank < options_.remote_keys.size()) {
    opened.set_remote_key(options_.remote_keys[record.begun().rank]);
  }
  out->push_back(WireSend{to, std::move(message)});
}

void HandoffOwner::RememberOpen(PeerId from, const HandoffId& id, const v1::Open& open, MonoTime now) {
  const PendingKey key{id, FromProto(open.reader_epoch())};
  if (pending_.size() >= options_.max_pending && !pending_.contains(key)) return;
  pending_[key] = {from, open};
  pending_timers_.Set(key, now + options_.keep_pending);
}

void HandoffOwner::Refuse(PeerId to, const HandoffId& id, const std::string& reason, bool retry,
                          OwnerActions* out) {
  ++(retry ? counters_.retried : counters_.refused);
  v1::Handoff message = NewMessage(id, options_.epoch);
  message.mutable_refused()->set_reason(reason);
  message.mutable_refused()->set_retry(retry);
  out->push_back(WireSend{to, std::move(message)});
}

void HandoffOwner::OnOfferAck(const HandoffId& id, const v1::OfferAck& ack, MonoTime now, OwnerActions* out) {
  OwnedLease* record = FindLease(id, ack.lease(), FromProto(ack.secret()));
  if (record == nullptr) {
    ++counters_.stale;
    return;
  }
  record->Ack(ack.number(), ack.sealed(), now);
  Pump(*record, now, out);
}

void HandoffOwner::OnRenew(PeerId from, const HandoffId& id, const v1::Renew& renew, MonoTime now,
                           OwnerActions* out) {
  OwnedLease* record = FindLease(id, renew.lease(), FromProto(renew.secret()));
  if (record == nullptr || FromProto(renew.owner_epoch()) != options_.epoch) {
    ++counters_.stale;
    auto verdict = verdicts_.find(renew.lease());
    if (verdict != verdicts_.end() && verdict->second.held)
      return;  // the Verdict answers; this Renew was late
    return SendRevoke(from, id, renew.lease(), "no such lease", out);
  }
  record->Renew(now);
  record->set_peer(from);
  v1::Handoff message = NewMessage(id, options_.epoch);
  message.mutable_renewed()->set_lease(record->lease());
  message.mutable_renewed()->set_lease_ms(RemainingMs(record->lease_until(), now));
  message.mutable_renewed()->set_serial(renew.serial());
  out->push_back(WireSend{from, std::move(message)});
  Pump(*record, now, out);
}

void HandoffOwner::OnConfirm(PeerId from, const HandoffId& id, const v1::Confirm& confirm, MonoTime now,
                             OwnerActions* out) {
  const uint64_t lease = confirm.lease();
  if (FromProto(confirm.owner_epoch()) != options_.epoch) {
    ++counters_.stale;
    return SendVerdict(from, id, lease, false, "the owner has restarted", out);
  }
  const Id128 secret = FromProto(confirm.secret());
  const Epoch reader_epoch = FromProto(confirm.reader_epoch());
  auto known = verdicts_.find(lease);
  if (known != verdicts_.end() && known->second.id == id && known->second.secret == secret &&
      known->second.reader_epoch == reader_epoch) {
    ++counters_.verdicts_repeated;
    return SendVerdict(from, id, lease, known->second.held, known->second.reason, out);
  }
  OwnedLease* record = FindLease(id, lease, secret);
  if (record == nullptr || record->begun().reader_epoch != reader_epoch) {
    ++counters_.stale;
    return SendVerdict(from, id, lease, false, "no such lease", out);
  }
  record->set_peer(from);
  std::string why;
  if (!record->sealed()) {
    why = "confirmed before the seal";
  } else if (record->offers() != confirm.offers()) {
    why = absl::StrCat(confirm.offers(), " offers confirmed, ", record->offers(), " sealed");
  }
  SendVerdict(from, id, lease, why.empty(), why, out);
  End(id, why.empty(), why, now, out);
}

void HandoffOwner::OnRelease(const HandoffId& id, const v1::Release& release, MonoTime now,
                             OwnerActions* out) {
  OwnedLease* record = FindLease(id, release.lease(), FromProto(release.secret()));
  if (record == nullptr || FromProto(release.owner_epoch()) != options_.epoch) {
    ++counters_.stale;
    return;
  }
  ++counters_.released;
  record->set_peer(0);
  End(id, false, "released by the reader", now, out);
}

void HandoffOwner::SendVerdict(PeerId to, const HandoffId& id, uint64_t lease, bool held,
                               const std::string& reason, OwnerActions* out) const {
  v1::Handoff message = NewMessage(id, options_.epoch);
  message.mutable_verdict()->set_lease(lease);
  message.mutable_verdict()->set_held(held);
  message.mutable_verdict()->set_reason(reason);
  out->push_back(WireSend{to, std::move(message)});
}

void HandoffOwner::SendRevoke(PeerId to, const HandoffId& id, uint64_t lease, const std::string& reason,
                              OwnerActions* out) const {
  if (to == 0) return;
  v1::Handoff message = NewMessage(id, options_.epoch);
  message.mutable_revoke()->set_lease(lease);
  message.mutable_revoke()->set_reason(reason);
  out->push_back(WireSend{to, std::move(message)});
}

}  // namespace baton
