#include "services/kv_transfer/handoff/owner.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

namespace baton {
namespace {

constexpr size_t kSupersededKept = 8;

constexpr Transition<OwnerState> kLegal[] = {
    {OwnerState::kAwaiting, OwnerState::kLeased}, {OwnerState::kAwaiting, OwnerState::kLost},
    {OwnerState::kLeased, OwnerState::kSealed},   {OwnerState::kLeased, OwnerState::kLost},
    {OwnerState::kSealed, OwnerState::kHeld},     {OwnerState::kSealed, OwnerState::kLost},
};

}  // namespace

HandoffOwner::HandoffOwner(OwnerOptions options) : options_(std::move(options)) {}

absl::Span<const Transition<OwnerState>> HandoffOwner::LegalTransitions() {
  return kLegal;
}

OwnedLease* HandoffOwner::FindRecord(const HandoffId& id) {
  auto it = records_.find(id);
  return it == records_.end() ? nullptr : &it->second;
}

const OwnedLease* HandoffOwner::Find(const HandoffId& id) const {
  auto it = records_.find(id);
  return it == records_.end() ? nullptr : &it->second;
}

OwnedLease* HandoffOwner::FindLease(const HandoffId& id, uint64_t lease, const Id128& secret) {
  OwnedLease* record = FindRecord(id);
  if (record == nullptr || lease == 0 || record->lease() != lease || record->secret() != secret)
    return nullptr;
  return record;
}

void HandoffOwner::OnBegin(const OwnBegin& command, MonoTime now, OwnerActions* out) {
  if (FindRecord(command.id) != nullptr) End(command.id, false, "begun again", now, out);
  std::string why;
  if (records_.size() >= options_.max_leases) {
    why = "too many handoffs";
  } else if (command.rank >= options_.pages.size()) {
    why = absl::StrCat("no rank ", command.rank);
  } else if (command.tokens <= 0 || options_.layout.PagesFor(command.tokens) > options_.pages[command.rank]) {
    why = absl::StrCat("no pool holds ", command.tokens, " tokens");
  } else if (command.hard_deadline <= now) {
    why = "past the hard deadline";
  }
  if (!why.empty()) {
    ++counters_.lost;
    RememberEnd(command.id, why, command.hard_deadline, now);
    out->push_back(OwnEnded{command.id, false, why});
    return;
  }
  ended_.erase(command.id);
  ended_timers_.Remove(command.id);
  OwnedLease& record = records_.try_emplace(command.id, command, options_, now).first->second;
  record_timers_.Set(command.id, record.NextDeadline());

  auto early = pending_.find({command.id, command.reader_epoch});
  if (early == pending_.end()) return;
  const PendingOpen open = std::move(early->second);
  pending_timers_.Remove(early->first);
  pending_.erase(early);
  if (Superseded(open.open, now)) return Refuse(open.from, command.id, "the reader has restarted", true, out);
  TryGrant(open.from, open.open, record, now, out);
}

void HandoffOwner::OnOffer(const OwnOffer& command, MonoTime now, OwnerActions* out) {
  OwnedLease* record = FindRecord(command.id);
  if (record == nullptr || EndIfExpired(command.id, now, out)) {
    ++counters_.ignored_commands;
    return;
  }
  const absl::Status added = record->AddOffer(command);
  if (!added.ok()) {
    End(command.id, false, absl::StrCat("bad offer: ", added.message()), now, out);
    return;
  }
  Pump(*record, now, out);
}

void HandoffOwner::OnSeal(const OwnSeal& command, MonoTime now, OwnerActions* out) {
  OwnedLease* record = FindRecord(command.id);
  if (record == nullptr || EndIfExpired(command.id, now, out)) {
    ++counters_.ignored_commands;
    return;
  }
  if (record->sealed()) {
    End(command.id, false, "sealed twice", now, out);
    return;
  }
  record->Seal(command);
  if (record->state() == OwnerState::kLeased) SetState(*record, OwnerState::kSealed);
  Pump(*record, now, out);
}

void HandoffOwner::OnRevoke(const OwnRevoke& command, MonoTime now, OwnerActions* out) {
  if (FindRecord(command.id) == nullptr) {
    ++counters_.ignored_commands;
    return;
  }
  ++counters_.revoked;
  End(command.id, false, absl::StrCat("revoked: ", command.reason), now, out);
}

absl::StatusOr<std::vector<ByteRange>> HandoffOwner::OnPull(const v1::Handoff& message, MonoTime now) {
  const v1::Pull& pull = message.pull();
  const auto refuse = [&](absl::Status why) {
    ++counters_.pulls_refused;
    return why;
  };
  if (FromProto(pull.owner_epoch()) != options_.epoch) {
    ++counters_.stale;
    return refuse(absl::FailedPreconditionError("an earlier epoch of the owner"));
  }
  const OwnedLease* record = FindLease(FromProto(message.key()), pull.lease(), FromProto(pull.secret()));
  if (record == nullptr || FromProto(message.sender_epoch()) != record->begun().reader_epoch) {
    ++counters_.stale;
    return refuse(absl::FailedPreconditionError("no such lease"));
  }
  if (now >= record->expires()) return refuse(absl::FailedPreconditionError("the lease has expired"));
  auto ranges = record->Locate(RectOf(pull));
  if (!ranges.ok()) return refuse(ranges.status());
  ++counters_.pulls;
  for (const ByteRange& range : *ranges) counters_.bytes_served += range.length;
  return ranges;
}

void HandoffOwner::OnTick(MonoTime now, OwnerActions* out) {
  while (auto id = record_timers_.PopDue(now)) {
    if (OwnedLease* record = FindRecord(*id); record != nullptr && !EndIfExpired(*id, now, out)) {
      Pump(*record, now, out);
    }
  }
  while (auto lease = verdict_timers_.PopDue(now)) verdicts_.erase(*lease);
  while (auto id = ended_timers_.PopDue(now)) ended_.erase(*id);
  while (auto key = pending_timers_.PopDue(now)) pending_.erase(*key);
}

MonoTime HandoffOwner::NextDeadline() const {
  return std::min(
      {record_timers_.Next(), verdict_timers_.Next(), ended_timers_.Next(), pending_timers_.Next()});
}

void HandoffOwner::OnPeerDenied(PeerId peer, absl::string_view why, MonoTime now, OwnerActions* out) {
  std::vector<HandoffId> ended;
  for (const auto& [id, record] : records_) {
    if (record.lease() != 0 && record.peer() == peer) ended.push_back(id);
  }
  for (const HandoffId& id : ended) End(id, false, std::string(why), now, out);
}

void HandoffOwner::Shutdown(MonoTime now, OwnerActions* out) {
  while (!records_.empty())
    End(HandoffId(records_.begin()->first), false, "the owner is shutting down", now, out);
}

void HandoffOwner::SetState(OwnedLease& record, OwnerState to) {
  transitions_.Count(record.state(), to);
  record.set_state(to);
}

void HandoffOwner::End(const HandoffId& id, bool held, const std::string& reason, MonoTime now,
                       OwnerActions* out) {
  auto it = records_.find(id);
  OwnedLease& record = it->second;
  SetState(record, held ? OwnerState::kHeld : OwnerState::kLost);
  ++(held ? counters_.held : counters_.lost);
  if (record.lease() != 0) {
    if (record.hard_deadline() > now) {
      verdicts_[record.lease()] = {id, record.begun().reader_epoch, record.secret(), held, reason};
      verdict_timers_.Set(record.lease(), record.hard_deadline());
    }
    if (!held) SendRevoke(record.peer(), id, record.lease(), reason, out);
  }
  RememberEnd(id, held ? "held" : reason, record.hard_deadline(), now);
  out->push_back(OwnEnded{id, held, held ? "" : reason});
  record_timers_.Remove(id);
  records_.erase(it);
}

void HandoffOwner::RememberEnd(const HandoffId& id, const std::string& reason, MonoTime until, MonoTime now) {
  if (until <= now) return;
  if (ended_.size() >= options_.max_verdicts && !ended_.contains(id)) {
    if (auto soonest = ended_timers_.PopDue(absl::InfiniteFuture())) ended_.erase(*soonest);
  }
  ended_[id] = reason;
  ended_timers_.Set(id, until);
}

bool HandoffOwner::EndIfExpired(const HandoffId& id, MonoTime now, OwnerActions* out) {
  OwnedLease* record = FindRecord(id);
  if (record == nullptr || now < record->expires()) return false;
  const bool awaiting = record->state() == OwnerState::kAwaiting;
  ++(awaiting ? counters_.unopened : counters_.expired);
  End(HandoffId(id), false, awaiting ? "no reader opened it in time" : "the lease expired", now, out);
  return true;
}

void HandoffOwner::Pump(OwnedLease& record, MonoTime now, OwnerActions* out) {
  std::vector<v1::Handoff> due;
  counters_.resent += record.TakeDue(now, &due);
  for (v1::Handoff& message : due) out->push_back(WireSend{record.peer(), std::move(message)});
  record_timers_.Set(record.id(), record.NextDeadline());
}

bool HandoffOwner::Superseded(const v1::Open& open, MonoTime now) const {
  auto it = readers_.find(open.reader());
  if (open.reader().empty() || it == readers_.end()) return false;
  const Epoch epoch = FromProto(open.reader_epoch());
  const auto& old = it->second.superseded;
  return std::any_of(old.begin(), old.end(),
                     [&](const auto& life) { return life.first == epoch && now < life.second; });
}

void HandoffOwner::NoteReader(const v1::Open& open, uint64_t lease, MonoTime now, OwnerActions* out) {
  if (open.reader().empty()) return;
  const Epoch epoch = FromProto(open.reader_epoch());
  auto it = readers_.find(open.reader());
  if (it == readers_.end()) {
    if (readers_.size() >= options_.max_readers) {
      readers_.erase(std::min_element(readers_.begin(), readers_.end(), [](const auto& a, const auto& b) {
        return a.second.last_lease < b.second.last_lease;
      }));
    }
    it = readers_.emplace(open.reader(), KnownReader{epoch, {}, lease}).first;
  }
  KnownReader& reader = it->second;
  reader.last_lease = lease;
  if (reader.epoch == epoch) return;
  const Epoch old = std::exchange(reader.epoch, epoch);
  reader.superseded.emplace_back(old, now + options_.lease);
  if (reader.superseded.size() > kSupersededKept) reader.superseded.pop_front();
  std::vector<HandoffId> ended;
  for (const auto& [id, record] : records_) {
    if (record.begun().reader_epoch == old) ended.push_back(id);
  }
  counters_.superseded += ended.size();
  for (const HandoffId& id : ended) End(id, false, "the reader has restarted", now, out);
}

}  // namespace baton
