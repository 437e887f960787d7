#include "services/kv_transfer/handoff/reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton {
namespace {

constexpr Transition<ReaderState> kLegal[] = {
    {ReaderState::kOpening, ReaderState::kPulling},    {ReaderState::kOpening, ReaderState::kLost},
    {ReaderState::kPulling, ReaderState::kConfirming}, {ReaderState::kPulling, ReaderState::kFencing},
    {ReaderState::kPulling, ReaderState::kLost},       {ReaderState::kConfirming, ReaderState::kHeld},
    {ReaderState::kConfirming, ReaderState::kLost},    {ReaderState::kFencing, ReaderState::kLost},
};

}  // namespace

HandoffReader::HandoffReader(ReaderOptions options) : options_(std::move(options)) {
  for (size_t slot = 0; slot < options_.staging_slots; ++slot) free_slots_.push_back(slot);
}

absl::Span<const Transition<ReaderState>> HandoffReader::LegalTransitions() {
  return kLegal;
}

const Pull* HandoffReader::Find(const HandoffId& id) const {
  auto it = pulls_.find(id);
  return it == pulls_.end() ? nullptr : &it->second;
}

bool HandoffReader::Uses(PeerId peer) const {
  return owners_.contains(peer);
}

absl::Status HandoffReader::CheckBegin(const PullBegin& command, MonoTime now) const {
  const KvLayout& layout = options_.layout;
  if (pulls_.size() >= options_.max_pulls) return absl::ResourceExhaustedError("too many handoffs");
  if (command.rank >= options_.pages.size())
    return absl::InvalidArgumentError(absl::StrCat("no rank ", command.rank));
  if (command.end > layout.PagesFor(command.end) * layout.PageTokens() || command.end <= 0 ||
      layout.PagesFor(command.end) > static_cast<int64_t>(command.pages.size())) {
    return absl::InvalidArgumentError("fewer pages than tokens");
  }
  BATON_RETURN_IF_ERROR(CheckRect(layout, {command.begin, command.end, 0, layout.layers}, command.end));
  for (const PageId page : command.pages) {
    if (page < 0 || page >= options_.pages[command.rank])
      return absl::InvalidArgumentError(absl::StrCat("no page ", page));
  }
  const KvShard shard = ShardOrAll(options_.shard, layout);
  if (!command.part.empty() && Intersect(command.part, shard) != command.part)
    return absl::InvalidArgumentError("our shard does not keep the part to be pulled");
  if (command.deadline <= now) return absl::DeadlineExceededError("no time is left");
  return absl::OkStatus();
}

void HandoffReader::OnBegin(const PullBegin& command, PeerId owner, MonoTime now, ReaderActions* out) {
  if (pulls_.contains(command.id)) {
    ++counters_.ignored_commands;
    return;
  }
  ++counters_.begun;
  if (const absl::Status status = CheckBegin(command, now); !status.ok()) {
    ++counters_.lost;
    out->push_back(PullLost{command.id, status, true});
    return;
  }
  Pull& pull = pulls_.try_emplace(command.id, command, owner, options_, now).first->second;
  ++owners_[owner].pulls;
  SendOpen(pull, now, out);
  File(command.id);
}

void HandoffReader::OnCancel(const PullCancel& command, MonoTime now, ReaderActions* out) {
  auto it = pulls_.find(command.id);
  if (it == pulls_.end() || it->second.state() == ReaderState::kFencing) {
    ++counters_.ignored_commands;
    return;
  }
  ++counters_.cancelled;
  Lose(it->second, absl::CancelledError("cancelled"), now, out);
  PumpReads(now, out);
}

void HandoffReader::OnReadDone(uint64_t tag, const absl::Status& status, MonoTime now, ReaderActions* out) {
  auto owner = tags_.find(tag);
  if (owner == tags_.end()) return;
  const HandoffId id = owner->second;
  Pull& pull = pulls_.at(id);
  std::optional<Pull::Read> read = pull.FinishRead(tag);
  if (!read.has_value()) return;
  tags_.erase(owner);
  bytes_in_flight_ -= read->bytes;
  --reads_in_flight_;
  if (auto from = owners_.find(read->peer); from != owners_.end()) {
    from->second.bytes_in_flight -= read->bytes;
    --from->second.reads_in_flight;
  }
  if (pull.state() == ReaderState::kFencing) {
    FreeSlot(tag);
    if (pull.reads().empty()) {
      SetState(pull, ReaderState::kLost);
      Erase(id);
      out->push_back(PullFenced{id});
    }
  } else if (status.ok() && options_.wire_verifies) {
    counters_.bytes_read += read->bytes;
    Accept(pull, tag, read->chunk, now, out);
  } else if (absl::IsDataLoss(status)) {
    ++counters_.checksum_failures;
    Lose(pull, absl::DataLossError("a checksum does not match"), now, out);
  } else if (status.ok()) {
    counters_.bytes_read += read->bytes;
    const uint64_t verify_tag = ++last_tag_;
    tags_[verify_tag] = id;
    if (auto slot = slots_.extract(tag); !slot.empty()) {
      slot.key() = verify_tag;
      slots_.insert(std::move(slot));
    }
    out->push_back(pull.StartVerify(verify_tag, SlotOf(verify_tag), std::move(read->chunk)));
  } else if (read->aborted || absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
             absl::IsCancelled(status)) {
    ++counters_.reads_failed;
    if (!read->aborted) owners_.at(pull.peer()).busy_until = now + options_.busy_wait;
    pull.Retry(std::move(read->chunk));
    Enqueue(pull);
  } else {
    ++counters_.reads_failed;
    Lose(pull, absl::FailedPreconditionError(absl::StrCat("a read failed: ", status.message())), now, out);
  }
  FreeSlot(tag);
  PumpReads(now, out);
  File(id);
}

size_t HandoffReader::SlotOf(uint64_t tag) const {
  auto it = slots_.find(tag);
  return it == slots_.end() ? 0 : it->second;
}

void HandoffReader::FreeSlot(uint64_t tag) {
  auto it = slots_.find(tag);
  if (it == slots_.end()) return;
  free_slots_.push_back(it->second);
  slots_.erase(it);
}

void HandoffReader::Accept(Pull& pull, uint64_t tag, const Pull::Chunk& chunk, MonoTime now,
                           ReaderActions* out) {
  if (pull.converts()) out->push_back(pull.Convert(chunk, SlotOf(tag)));
  pull.Verified(chunk);
  ConfirmIfComplete(pull, now, out);
}

void HandoffReader::OnVerified(uint64_t tag, bool match, MonoTime now, ReaderActions* out) {
  auto owner = tags_.find(tag);
  if (owner == tags_.end()) return;
  const HandoffId id = owner->second;
  Pull& pull = pulls_.at(id);
  if (pull.reads().contains(tag)) return;
  tags_.erase(owner);
  if (pull.state() != ReaderState::kPulling) return FreeSlot(tag);
  if (!match) {
    ++counters_.checksum_failures;
    Lose(pull, absl::DataLossError("a checksum does not match"), now, out);
  } else if (const auto chunk = pull.FinishVerify(tag); chunk.has_value()) {
    Accept(pull, tag, *chunk, now, out);
  }
  FreeSlot(tag);
  PumpReads(now, out);
  File(id);
}

void HandoffReader::OnReconnected(PeerId was, PeerId is, MonoTime now) {
  auto old = owners_.find(was);
  if (old == owners_.end() || was == is) return;
  Owner& fresh = owners_[is];
  for (auto& [id, pull] : pulls_) {
    if (pull.peer() != was || pull.state() == ReaderState::kFencing) continue;
    pull.Reconnect(is, now);
    --old->second.pulls;
    ++fresh.pulls;
    if (std::exchange(pull.queued, false)) Enqueue(pull);
    File(id);
  }
  old->second.ready.clear();
  if (old->second.pulls == 0) owners_.erase(old);
  if (fresh.pulls == 0) owners_.erase(is);
}

void HandoffReader::OnTick(MonoTime now, ReaderActions* out) {
  while (auto id = timers_.PopDue(now)) {
    Tick(pulls_.at(*id), now, out);
    File(*id);
  }
  PumpReads(now, out);
}

MonoTime HandoffReader::NextDeadline() const {
  MonoTime next = timers_.Next();
  if (reads_in_flight_ >= options_.max_reads_in_flight) return next;
  for (const auto& [peer, owner] : owners_) {
    const bool waits_for_wire = !owner.ready.empty() && owner.busy_until > absl::InfinitePast();
    if (waits_for_wire) next = std::min(next, owner.busy_until);
  }
  return next;
}

void HandoffReader::Tick(Pull& pull, MonoTime now, ReaderActions* out) {
  if (pull.state() == ReaderState::kFencing) {
    if (now >= pull.close_by) {
      pull.close_by = absl::InfiniteFuture();
      ++counters_.peers_closed;
      out->push_back(ClosePeer{pull.peer()});
    }
    if (now < pull.fence_by) return;
    pull.fence_by = absl::InfiniteFuture();
    ++counters_.fences_late;
    out->push_back(FenceOverdue{pull.id()});
    return;
  }
  const bool out_of_time = now >= pull.begun().deadline;
  if (out_of_time || (pull.state() == ReaderState::kPulling && now >= pull.lease_until())) {
    ++counters_.timed_out;
    return Lose(
        pull,
        absl::DeadlineExceededError(out_of_time ? "the handoff's deadline passed" : "the lease ran out"), now,
        out);
  }
  if (pull.AwaitsAnswer() && now >= pull.heard_until) {
    ++counters_.timed_out;
    return Lose(pull, absl::UnavailableError("the owner does not answer"), now, out);
  }
  for (auto& [tag, read] : pull.reads()) {
    if (read.aborted || now < read.deadline) continue;
    read.aborted = true;
    ++counters_.reads_aborted;
    out->push_back(AbortPull{tag});
  }
  if (now >= pull.next_request) {
    if (pull.state() == ReaderState::kOpening) SendOpen(pull, now, out);
    if (pull.state() == ReaderState::kConfirming) SendConfirm(pull, now, out);
  }
  if (now >= pull.next_renew) SendRenew(pull, now, out);
}

void HandoffReader::Shutdown(MonoTime now, ReaderActions* out) {
  std::vector<HandoffId> live;
  for (const auto& [id, pull] : pulls_) {
    if (pull.state() != ReaderState::kFencing) live.push_back(id);
  }
  for (const HandoffId& id : live)
    Lose(pulls_.at(id), absl::CancelledError("the reader is shutting down"), now, out);
}

void HandoffReader::SetState(Pull& pull, ReaderState to) {
  transitions_.Count(pull.state(), to);
  pull.set_state(to);
}

void HandoffReader::ConfirmIfComplete(Pull& pull, MonoTime now, ReaderActions* out) {
  if (pull.state() != ReaderState::kPulling) return;
  if (pull.Short()) return Lose(pull, absl::DataLossError("sealed, but not all was offered"), now, out);
  if (!pull.Complete()) return;
  SetState(pull, ReaderState::kConfirming);
  pull.resend.Reset();
  pull.heard_until = now + options_.silence;
  SendConfirm(pull, now, out);
}

void HandoffReader::Hold(Pull& pull, ReaderActions* out) {
  ++counters_.held;
  SetState(pull, ReaderState::kHeld);
  out->push_back(PullHeld{pull.id(), pull.first_token(), pull.inexact(), pull.scores()});
  Erase(HandoffId(pull.id()));
}

void HandoffReader::Lose(Pull& pull, absl::Status status, MonoTime now, ReaderActions* out) {
  const HandoffId id = pull.id();
  ++counters_.lost;
  pull.DropWork();
  if (pull.lease() != 0) {
    SendRelease(pull.peer(), id, pull.begun().owner.epoch, pull.lease(), pull.secret(), out);
  }
  const bool fenced = pull.reads().empty();
  out->push_back(PullLost{id, std::move(status), fenced});
  if (fenced) {
    SetState(pull, ReaderState::kLost);
    return Erase(id);
  }
  SetState(pull, ReaderState::kFencing);
  pull.close_by = now + options_.fence_timeout / 2;
  pull.fence_by = now + options_.fence_timeout;
  for (auto& [tag, read] : pull.reads()) {
    if (!read.aborted) out->push_back(AbortPull{tag});
    read.aborted = true;
  }
  File(id);
}

void HandoffReader::Erase(const HandoffId& id) {
  auto it = pulls_.find(id);
  auto owner = owners_.find(it->second.peer());
  if (--owner->second.pulls == 0) owners_.erase(owner);
  absl::erase_if(tags_, [&](const auto& tag) {
    if (tag.second == id) FreeSlot(tag.first);
    return tag.second == id;
  });
  timers_.Remove(id);
  pulls_.erase(it);
}

void HandoffReader::Enqueue(Pull& pull) {
  if (pull.queued || !pull.HasWork()) return;
  pull.queued = true;
  owners_.at(pull.peer()).ready.push_back(pull.id());
}

void HandoffReader::PumpReads(MonoTime now, ReaderActions* out) {
  for (size_t idle = 0; idle < owners_.size() && reads_in_flight_ < options_.max_reads_in_flight;) {
    auto next = owners_.upper_bound(last_served_);
    if (next == owners_.end()) next = owners_.begin();
    last_served_ = next->first;
    idle = PostRead(next->second, now, out) ? 0 : idle + 1;
  }
}

bool HandoffReader::PostRead(Owner& owner, MonoTime now, ReaderActions* out) {
  if (now < owner.busy_until) return false;
  owner.busy_until = absl::InfinitePast();
  const auto named = [&] { return pulls_.find(owner.ready.front()); };
  while (!owner.ready.empty() && (named() == pulls_.end() || !named()->second.HasWork())) {
    if (named() != pulls_.end()) named()->second.queued = false;
    owner.ready.pop_front();
  }
  if (owner.ready.empty()) return false;
  Pull& pull = named()->second;
  const size_t bytes = pull.NextBytes();
  const bool fits = bytes_in_flight_ == 0 || bytes_in_flight_ + bytes <= options_.max_bytes_in_flight;
  const bool within_share =
      owner.reads_in_flight == 0 || (owner.bytes_in_flight + bytes <= options_.max_bytes_in_flight / 2 &&
                                     owner.reads_in_flight < options_.max_reads_in_flight / 2);
  if (!fits || !within_share || (pull.converts() && free_slots_.empty())) return false;
  const uint64_t tag = ++last_tag_;
  tags_[tag] = pull.id();
  if (pull.converts()) {
    slots_[tag] = free_slots_.back();
    free_slots_.pop_back();
  }
  out->push_back(pull.StartRead(tag, SlotOf(tag), now));
  ++counters_.reads;
  ++reads_in_flight_;
  ++owner.reads_in_flight;
  bytes_in_flight_ += bytes;
  owner.bytes_in_flight += bytes;
  owner.ready.pop_front();
  pull.queued = false;
  Enqueue(pull);
  File(pull.id());
  return true;
}

void HandoffReader::File(const HandoffId& id) {
  auto it = pulls_.find(id);
  if (it != pulls_.end()) timers_.Set(id, it->second.NextDeadline());
}

}  // namespace baton
