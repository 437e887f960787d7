#include "services/kv_transfer/handoff/driver.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/checksum.h"
#include "common/kv_convert.h"
#include "common/status_macros.h"

namespace baton {
namespace {

constexpr absl::Duration kComplainEvery = absl::Minutes(1);
constexpr absl::Duration kTellLossEvery = absl::Seconds(1);

// All pages of a rank, which must be consecutive.
absl::StatusOr<absl::Span<std::byte>> PoolOf(KvMemory* memory, uint32_t rank) {
  const int64_t pages = memory->pages(rank);
  const size_t page_bytes = memory->layout().PageBytes();
  if (pages == 0) return absl::Span<std::byte>();
  std::byte* const first = memory->Page(rank, 0).data();
  for (int64_t page = 0; page < pages; ++page) {
    const absl::Span<std::byte> span = memory->Page(rank, static_cast<PageId>(page));
    if (span.size() != page_bytes || span.data() != first + page * page_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("the pages of rank ", rank, " are not consecutive in memory"));
    }
  }
  return absl::MakeSpan(first, page_bytes * pages);
}

bool OnlyOurs(absl::string_view endpoint) {
  for (const absl::string_view shared : {"//*", "//0.0.0.0", "//127.", "//localhost", "//[::"}) {
    if (absl::StrContains(endpoint, shared)) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HandoffDriver>> HandoffDriver::Create(const HandoffOptions& options,
                                                                     Epoch epoch, KvMemory* memory,
                                                                     Transport* wire, const Clock* clock,
                                                                     HandoffEventSink* sink) {
  OwnerOptions owner;
  ReaderOptions reader;
  owner.epoch = reader.epoch = epoch;
  owner.fingerprint = reader.fingerprint = options.fingerprint;
  owner.model = reader.model = options.model;
  owner.layout = reader.layout = memory->layout();
  owner.shard = reader.shard = options.shard;
  owner.inexact = reader.inexact = options.inexact;
  owner.lease = owner.open_within = options.lease;
  owner.max_leases = reader.max_pulls = options.max_leases;
  owner.new_secret = RandomId128;
  reader.name = options.name;
  if (reader.name.empty() && OnlyOurs(wire->endpoint())) reader.name = wire->endpoint();
  reader.fence_timeout = options.fence_timeout;
  reader.max_bytes_in_flight = options.max_pull_bytes_in_flight;
  reader.wire_verifies = wire->VerifiesReads();
  for (uint32_t rank = 0; rank < memory->ranks(); ++rank) {
    BATON_ASSIGN_OR_RETURN(const absl::Span<std::byte> pool, PoolOf(memory, rank));
    BATON_ASSIGN_OR_RETURN(const RegionId region, wire->Register(pool));
    if (region != rank) return absl::InvalidArgumentError("the wire has other memory registered");
    owner.pages.push_back(memory->pages(rank));
    owner.remote_keys.push_back(wire->RemoteKey(region));
  }
  reader.pages = owner.pages;
  Staging staging;
  if (options.inexact) BATON_RETURN_IF_ERROR(Stage(wire, &reader, &staging));
  return std::unique_ptr<HandoffDriver>(
      new HandoffDriver(std::move(owner), std::move(reader), std::move(staging), memory, wire, clock, sink));
}

absl::Status HandoffDriver::Stage(Transport* wire, ReaderOptions* reader, Staging* staging) {
  constexpr size_t kSlots = 16;
  const size_t widest_layer = 2 * reader->layout.LayerBytes();  // of float32, if ours is of 16 bits
  reader->staging_slots = kSlots;
  reader->staging_slot_bytes = std::max(reader->max_read_bytes, widest_layer);
  staging->size = kSlots * reader->staging_slot_bytes;
  staging->bytes = std::shared_ptr<std::byte[]>(new std::byte[staging->size]());
  BATON_ASSIGN_OR_RETURN(reader->staging_region, wire->Register({staging->bytes.get(), staging->size}));
  return absl::OkStatus();
}

HandoffDriver::HandoffDriver(OwnerOptions owner, ReaderOptions reader, Staging staging, KvMemory* memory,
                             Transport* wire, const Clock* clock, HandoffEventSink* sink)
    : memory_(memory),
      wire_(wire),
      clock_(clock),
      sink_(sink),
      layout_(memory->layout()),
      staging_(std::move(staging)),
      now_(clock->Now()),
      owner_(std::move(owner)),
      reader_(std::move(reader)) {}

void HandoffDriver::Do(const HandoffCommand& command) {
  now_ = clock_->Now();
  std::visit([this](const auto& c) { Handle(c); }, command);
  Act();
}

void HandoffDriver::Handle(const PullBegin& command) {
  if (reader_.Find(command.id) == nullptr) pulling_from_[command.id] = command.owner.endpoint;
  auto peer = wire_->Connect(command.owner.endpoint, command.owner.curve_public_key);
  if (absl::IsResourceExhausted(peer.status()) && CloseIdlePeer()) {
    peer = wire_->Connect(command.owner.endpoint, command.owner.curve_public_key);
  }
  if (!peer.ok()) {
    reader_actions_.push_back(PullLost{command.id, peer.status(), true});
    return;
  }
  connected_[*peer] = {command.owner.endpoint, command.owner.curve_public_key};
  reader_.OnBegin(command, *peer, now_, &reader_actions_);
}

bool HandoffDriver::CloseIdlePeer() {
  for (auto it = connected_.begin(); it != connected_.end(); ++it) {
    if (reader_.Uses(it->first)) continue;
    wire_->Disconnect(it->first);
    connected_.erase(it);
    return true;
  }
  return false;
}

MonoTime HandoffDriver::NextDeadline() const {
  return std::min(owner_.NextDeadline(), reader_.NextDeadline());
}

void HandoffDriver::Tick() {
  now_ = clock_->Now();
  if (owner_.NextDeadline() <= now_) owner_.OnTick(now_, &owner_actions_);
  if (reader_.NextDeadline() <= now_) reader_.OnTick(now_, &reader_actions_);
  Act();
}

void HandoffDriver::Step(absl::Duration longest) {
  Tick();
  const absl::Duration until_timer = std::max(absl::ZeroDuration(), NextDeadline() - now_);
  wire_->Poll(std::min(longest, until_timer), this);
  FlushAcks();
}

void HandoffDriver::FlushAcks() {
  for (const auto& [id, ack] : std::exchange(acks_, {}))
    (void)wire_->Send(ack.peer, ack.message.SerializeAsString());
}

void HandoffDriver::Shutdown(absl::Duration patience) {
  now_ = clock_->Now();
  owner_.Shutdown(now_, &owner_actions_);
  reader_.Shutdown(now_, &reader_actions_);
  Act();
  const MonoTime give_up = now_ + patience;
  while (reader_.pulls() > 0 && clock_->Now() < give_up) Step(give_up - clock_->Now());
  for (const auto& [peer, address] : connected_) wire_->Disconnect(peer);
  connected_.clear();
  Step(absl::ZeroDuration());
}

void HandoffDriver::Act() {
  if (acting_) return;
  acting_ = true;
  while (!owner_actions_.empty() || !reader_actions_.empty()) {
    for (OwnerAction& action : std::exchange(owner_actions_, {})) {
      std::visit([this](auto& a) { Act(a); }, action);
    }
    for (ReaderAction& action : std::exchange(reader_actions_, {})) {
      std::visit([this](auto& a) { Act(a); }, action);
    }
  }
  acting_ = false;
}

void HandoffDriver::Act(WireSend& action) {
  const HandoffId id = FromProto(action.message.key());
  if (action.message.has_offer_ack()) {
    acks_[id] = std::move(action);
    return;
  }
  if (action.message.has_confirm()) acks_.erase(id);  // it says more
  // What a busy wire drops is sent again, as if it had been lost on the way.
  (void)wire_->Send(action.peer, action.message.SerializeAsString());
}

void HandoffDriver::Act(PostPull& action) {
  const uint64_t tag = action.tag;
  const WireResult result =
      wire_->PostReads({action.peer, tag, action.pull.SerializeAsString(), std::move(action.remote_key),
                        std::move(action.ops), std::move(action.checks)});
  if (result == WireResult::kOk) return;
  const absl::Status status = result == WireResult::kBusy ? absl::ResourceExhaustedError("the wire is busy")
                                                          : absl::UnavailableError("the peer has vanished");
  reader_.OnReadDone(tag, status, now_, &reader_actions_);
}

absl::Span<std::byte> HandoffDriver::BytesOf(const ByteRange& range) {
  if (range.region >= memory_->ranks()) return {staging_.bytes.get() + range.offset, range.length};
  const size_t page_bytes = layout_.PageBytes();
  const auto page = static_cast<PageId>(range.offset / page_bytes);
  return memory_->Page(range.region, page).subspan(range.offset % page_bytes, range.length);
}

bool HandoffDriver::Verify(const UnitCheck& check) {
  return Checksum64(BytesOf(check.range)) == check.checksum;
}

void HandoffDriver::Act(ConvertUnits& action) {
  for (const auto& [from, to] : action.units) {
    ConvertKv(action.from, BytesOf(from), action.to, BytesOf(to));
  }
}

void HandoffDriver::Act(VerifyUnits& action) {
  const bool match = std::all_of(action.units.begin(), action.units.end(),
                                 [this](const UnitCheck& check) { return Verify(check); });
  reader_.OnVerified(action.tag, match, now_, &reader_actions_);
}

void HandoffDriver::Act(ClosePeer& action) {
  wire_->Disconnect(action.peer);
  const auto closed = connected_.extract(action.peer);
  if (closed.empty()) return;
  const auto again = wire_->Connect(closed.mapped().endpoint, closed.mapped().public_key);
  if (!again.ok()) return;
  connected_[*again] = closed.mapped();
  reader_.OnReconnected(action.peer, *again, now_);
}

void HandoffDriver::Act(FenceOverdue& action) {
  healthy_ = false;
  spdlog::error("handoff {}: its reads were not fenced in time; this process must restart",
                action.id.stream.ToHex());
}

void HandoffDriver::Act(PullHeld& event) {
  pulling_from_.erase(event.id);
  sink_->OnHandoffEvent(std::move(event));
}

void HandoffDriver::Act(PullLost& event) {
  const auto from = pulling_from_.extract(event.id);
  if (!absl::IsCancelled(event.status))
    TellLoss(event.id, from.empty() ? std::string() : from.mapped(), event.status);
  sink_->OnHandoffEvent(std::move(event));
}

void HandoffDriver::TellLoss(const HandoffId& id, const std::string& owner, const absl::Status& why) {
  if (now_ < next_loss_told_) {
    ++losses_untold_;
    return;
  }
  next_loss_told_ = now_ + kTellLossEvery;
  spdlog::warn("handoff {} from {} lost: {} ({} others not told of)", id.stream.ToHex(), owner,
               std::string(why.message()), std::exchange(losses_untold_, 0));
}

void HandoffDriver::OnMessage(PeerId from, absl::string_view message) {
  now_ = clock_->Now();
  auto parsed = ParseHandoff(message);
  if (!parsed.has_value()) return OnMalformed(from, "not a handoff message");
  switch (parsed->verb_case()) {
    case v1::Handoff::kOpen:
      ProveReader(from, parsed->mutable_open());
      [[fallthrough]];
    case v1::Handoff::kOfferAck:
    case v1::Handoff::kRenew:
    case v1::Handoff::kConfirm:
    case v1::Handoff::kRelease:
      owner_.OnMessage(from, *parsed, now_, &owner_actions_);
      break;
    case v1::Handoff::kPull:
      return OnMalformed(from, "a Pull outside of a read");
    default:
      reader_.OnMessage(from, *parsed, now_, &reader_actions_);
  }
  Act();
}

absl::StatusOr<std::vector<ByteRange>> HandoffDriver::OnRead(PeerId from, absl::string_view grant) {
  now_ = clock_->Now();
  const auto parsed = ParseHandoff(grant);
  if (!parsed.has_value() || !parsed->has_pull()) {
    OnMalformed(from, "a read without a Pull");
    return absl::InvalidArgumentError("not a Pull");
  }
  return owner_.OnPull(*parsed, now_);
}

void HandoffDriver::OnReadDone(uint64_t tag, absl::Status status) {
  now_ = clock_->Now();
  reader_.OnReadDone(tag, status, now_, &reader_actions_);
  Act();
}

void HandoffDriver::OnMalformed(PeerId from, absl::string_view why) {
  ++malformed_;
  if (clock_->Now() < next_complaint_) return;
  next_complaint_ = clock_->Now() + kComplainEvery;
  spdlog::warn("handoff: malformed message from peer {} dropped ({}); {} so far", from, std::string(why),
               malformed_);
}

// A reader's name counts only together with the key that it proved: nobody ends another's leases by its name.
void HandoffDriver::ProveReader(PeerId from, v1::Open* open) const {
  const std::string proven = wire_->PeerName(from);
  if (!proven.empty() && !open->reader().empty()) open->set_reader(absl::StrCat(proven, "/", open->reader()));
}

void HandoffDriver::OnDenied(absl::string_view who) {
  ++denied_;
  if (clock_->Now() < next_denial_told_) return;
  next_denial_told_ = clock_->Now() + kComplainEvery;
  spdlog::warn("handoff: turned away: {}; {} so far", std::string(who), denied_);
}

void HandoffDriver::OnPeerChange(PeerId peer, PeerChange change, absl::string_view why) {
  now_ = clock_->Now();
  switch (change) {
    case PeerChange::kBack:
      reader_.OnPeerBack(peer, now_, &reader_actions_);
      return Act();
    case PeerChange::kDenied:
      owner_.OnPeerDenied(peer, why, now_, &owner_actions_);
      return Act();
    case PeerChange::kGone:
      reader_.OnPeerGone(peer, why, now_, &reader_actions_);
      Act();
      wire_->Disconnect(peer);
      connected_.erase(peer);
  }
}

HandoffNode::Stats HandoffDriver::stats() const {
  const OwnerCounters& owned = owner_.counters();
  const ReaderCounters& pulled = reader_.counters();
  HandoffNode::Stats stats;
  stats.owned_held = owned.held;
  stats.owned_lost = owned.lost;
  stats.pulled_held = pulled.held;
  stats.pulled_lost = pulled.lost;
  stats.pulls_refused = pulled.refused;
  stats.pulls_revoked = pulled.revoked;
  stats.pulls_timed_out = pulled.timed_out;
  stats.bytes_in = pulled.bytes_read;
  stats.bytes_out = owned.bytes_served;
  stats.checksum_failures = pulled.checksum_failures;
  stats.malformed = malformed_ + owned.malformed + pulled.malformed;
  stats.denied = denied_;
  stats.owners_gone = pulled.owners_gone;
  stats.refused = owned.refused + owned.pulls_refused;
  stats.leases = owner_.records();
  stats.pulls = reader_.pulls();
  return stats;
}

}  // namespace baton
