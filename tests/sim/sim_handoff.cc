#include "tests/sim/sim_handoff.h"

#include <algorithm>
#include <utility>

#include "common/checksum.h"

namespace baton::sim {
namespace {

constexpr const char* kCommandNames[] = {"own begin",  "own offer",  "own seal",
                                         "own revoke", "pull begin", "pull cancel"};
constexpr const char* kEventNames[] = {"own ended", "pull held", "pull lost", "pull fenced"};
constexpr const char* kOwnerNames[] = {"awaiting", "leased", "sealed", "held", "lost"};
constexpr const char* kReaderNames[] = {"opening", "pulling", "confirming", "fencing", "held", "lost"};

bool ForOwner(const v1::Handoff& message) {
  switch (message.verb_case()) {
    case v1::Handoff::kOpen:
    case v1::Handoff::kOfferAck:
    case v1::Handoff::kPull:
    case v1::Handoff::kRenew:
    case v1::Handoff::kConfirm:
    case v1::Handoff::kRelease:
      return true;
    default:
      return false;
  }
}

}  // namespace

SimHandoff::SimHandoff(const Context& context, NodeId node, std::string name, Epoch epoch, SimEngine* engine,
                       VerdictBook* book, OnEvent on_event, std::function<void()> restart)
    : context_(context),
      node_(node),
      name_(std::move(name)),
      epoch_(epoch),
      engine_(engine),
      book_(book),
      on_event_(std::move(on_event)),
      restart_(std::move(restart)),
      to_worker_(context, node),
      secrets_(context.network->prng()->Fork()),
      transport_(context.hub, node, [this] { Wake(); }),
      owner_(MakeOwnerOptions()),
      reader_(MakeReaderOptions()) {
  const size_t bytes = engine_->runner()->page_count() * engine_->runner()->kv_layout().PageBytes();
  (void)transport_.Register({engine_->runner()->PageData(0), bytes});
}

OwnerOptions SimHandoff::MakeOwnerOptions() {
  OwnerOptions options;
  options.epoch = epoch_;
  options.fingerprint = engine_->runner()->fingerprint();
  options.layout = engine_->runner()->kv_layout();
  options.pages = {engine_->runner()->page_count()};
  options.new_secret = [this] { return secrets_.Id(); };
  options.lease = absl::Milliseconds(600);
  options.open_within = absl::Seconds(1);
  options.offer_window = 8;
  options.max_read_bytes = 2 * options.layout.AtomBytes();
  return options;
}

ReaderOptions SimHandoff::MakeReaderOptions() {
  ReaderOptions options;
  options.epoch = epoch_;
  options.name = name_;
  options.fingerprint = engine_->runner()->fingerprint();
  options.layout = engine_->runner()->kv_layout();
  options.pages = {engine_->runner()->page_count()};
  options.read_timeout = absl::Milliseconds(400);
  options.fence_timeout = absl::Seconds(5);
  options.max_read_bytes = options.layout.AtomBytes();
  options.max_reads_in_flight = 8;
  return options;
}

void SimHandoff::Submit(HandoffCommand command) {
  commands_.push_back(std::move(command));
  Wake();
}

void SimHandoff::Wake() {
  if (std::exchange(woken_, true)) return;
  context_.queue->After(node_, absl::Microseconds(context_.network->prng()->Range(1, 60)),
                        [this] { Turn(); });
}

void SimHandoff::Turn() {
  woken_ = false;
  while (!commands_.empty()) {
    const HandoffCommand command = std::move(commands_.front());
    commands_.pop_front();
    Carry(command);
    Act();
  }
  transport_.Poll(absl::ZeroDuration(), this);
  owner_.OnTick(Now(), &owner_actions_);
  reader_.OnTick(Now(), &reader_actions_);
  Act();
  FileTimer();
}

void SimHandoff::FileTimer() {
  const MonoTime due = std::min(owner_.NextDeadline(), reader_.NextDeadline());
  if (due == absl::InfiniteFuture() || due >= timer_) return;
  timer_ = due;
  const MonoTime at = context_.queue->FromNodeTime(node_, due);
  context_.queue->At(node_, at, [this, due] {
    if (timer_ == due) timer_ = absl::InfiniteFuture();
    Wake();
  });
}

void SimHandoff::Carry(const HandoffCommand& command) {
  const MonoTime now = Now();
  const char* what = kCommandNames[command.index()];
  const HandoffId id = std::visit([](const auto& c) { return c.id; }, command);
  context_.coverage->Hit(absl::StrCat("handoff/command/", what));
  context_.Note(name_, what, "stream ", id.stream.hi % 10000, ".", id.attempt.claim, ".", id.attempt.n);
  if (const auto* begin = std::get_if<OwnBegin>(&command)) owner_.OnBegin(*begin, now, &owner_actions_);
  if (const auto* offer = std::get_if<OwnOffer>(&command)) owner_.OnOffer(*offer, now, &owner_actions_);
  if (const auto* seal = std::get_if<OwnSeal>(&command)) owner_.OnSeal(*seal, now, &owner_actions_);
  if (const auto* revoke = std::get_if<OwnRevoke>(&command)) owner_.OnRevoke(*revoke, now, &owner_actions_);
  if (const auto* cancel = std::get_if<PullCancel>(&command))
    reader_.OnCancel(*cancel, now, &reader_actions_);
  if (const auto* begin = std::get_if<PullBegin>(&command)) {
    const auto peer = transport_.Connect(begin->owner.endpoint, begin->owner.curve_public_key);
    context_.checker->Require(peer.ok(), name_, ": no connection to ", begin->owner.endpoint);
    if (!peer.ok()) return;
    sources_[begin->id] = begin->owner.epoch;
    reader_.OnBegin(*begin, *peer, now, &reader_actions_);
  }
}

void SimHandoff::OnMessage(PeerId from, absl::string_view text) {
  const auto message = ParseHandoff(text);
  context_.checker->Require(message.has_value(), name_, ": a message does not parse");
  if (!message) return;
  if (ForOwner(*message)) {
    owner_.OnMessage(from, *message, Now(), &owner_actions_);
  } else {
    const HandoffId id = FromProto(message->key());
    reader_.OnMessage(from, *message, Now(), &reader_actions_);
    if (context_.Mutated(Mutation::kAdoptEarly) && message->has_seal() && sources_.count(id) != 0) {
      Report(PullHeld{id, message->seal().first_token()});
    }
  }
  Act();
}

absl::StatusOr<std::vector<ByteRange>> SimHandoff::OnRead(PeerId, absl::string_view grant) {
  const auto message = ParseHandoff(grant);
  if (!message) return absl::InvalidArgumentError("no grant");
  auto ranges = owner_.OnPull(*message, Now());
  context_.coverage->Hit(ranges.ok() ? "owner/read served" : "owner/read refused");
  return ranges;
}

void SimHandoff::OnReadDone(uint64_t tag, absl::Status status) {
  context_.coverage->Hit(absl::StrCat("reader/read done/", absl::StatusCodeToString(status.code())));
  reader_.OnReadDone(tag, status, Now(), &reader_actions_);
  Act();
}

void SimHandoff::Act() {
  while (!owner_actions_.empty() || !reader_actions_.empty()) {
    for (OwnerAction& action : std::exchange(owner_actions_, {})) ActOwner(std::move(action));
    for (ReaderAction& action : std::exchange(reader_actions_, {})) ActReader(std::move(action));
  }
}

void SimHandoff::ActOwner(OwnerAction action) {
  if (const auto* send = std::get_if<WireSend>(&action)) return Send(*send);
  const OwnEnded& ended = std::get<OwnEnded>(action);
  book_->owner_held[{ended.id, epoch_}] = ended.held;
  if (context_.Mutated(Mutation::kForgetLeaseEnd) && ended.held) return;
  Report(ended);
}

void SimHandoff::ActReader(ReaderAction action) {
  std::visit(
      [this](auto& a) {
        using A = std::decay_t<decltype(a)>;
        if constexpr (std::is_same_v<A, WireSend>) {
          Send(a);
        } else if constexpr (std::is_same_v<A, PostPull>) {
          Post(std::move(a));
        } else if constexpr (std::is_same_v<A, AbortPull>) {
          transport_.Abort(a.tag);
        } else if constexpr (std::is_same_v<A, VerifyUnits>) {
          Verify(a);
        } else if constexpr (std::is_same_v<A, ConvertUnits>) {
          context_.Note(name_, "converts, though all pools have one dtype");
          restart_();
        } else if constexpr (std::is_same_v<A, ClosePeer>) {
          context_.coverage->Hit("reader/closes its connection");
          transport_.Disconnect(a.peer);
        } else if constexpr (std::is_same_v<A, FenceOverdue>) {
          context_.coverage->Hit("reader/fence overdue");
          context_.Note(name_, "fence overdue");
          restart_();
        } else {
          ReportReader(a);
        }
      },
      action);
}

void SimHandoff::Send(const WireSend& send) {
  if (context_.Mutated(Mutation::kSkipConfirm) && send.message.has_confirm()) {
    v1::Handoff verdict = send.message;
    verdict.clear_confirm();
    ToProto(FromProto(send.message.confirm().owner_epoch()), verdict.mutable_sender_epoch());
    verdict.mutable_verdict()->set_lease(send.message.confirm().lease());
    verdict.mutable_verdict()->set_held(true);
    reader_.OnMessage(send.peer, verdict, Now(), &reader_actions_);
    return;
  }
  (void)transport_.Send(send.peer, send.message.SerializeAsString());
}

void SimHandoff::Post(PostPull post) {
  ReadBatch batch{post.peer, post.tag, post.pull.SerializeAsString(), post.remote_key, std::move(post.ops)};
  switch (transport_.PostReads(std::move(batch))) {
    case WireResult::kOk:
      return;
    case WireResult::kBusy:
      return reader_.OnReadDone(post.tag, absl::ResourceExhaustedError("busy"), Now(), &reader_actions_);
    case WireResult::kGone:
      return reader_.OnReadDone(post.tag, absl::UnavailableError("gone"), Now(), &reader_actions_);
  }
}

void SimHandoff::Verify(const VerifyUnits& verify) {
  const std::byte* memory = engine_->runner()->PageData(0);
  bool match = true;
  for (const UnitCheck& unit : verify.units) {
    match = match && Checksum64({memory + unit.range.offset, unit.range.length}) == unit.checksum;
  }
  context_.coverage->Hit(match ? "reader/units match" : "reader/units differ");
  reader_.OnVerified(verify.tag, match || context_.Mutated(Mutation::kTrustUnverified), Now(),
                     &reader_actions_);
}

void SimHandoff::ReportReader(HandoffEvent event) {
  if (auto* held = std::get_if<PullHeld>(&event)) {
    const auto verdict = book_->owner_held.find({held->id, sources_[held->id]});
    context_.checker->Require(verdict != book_->owner_held.end() && verdict->second, name_,
                              ": held, though its owner never said so");
  }
  if (auto* lost = std::get_if<PullLost>(&event)) {
    context_.coverage->Hit(lost->fenced ? "reader/lost fenced" : "reader/lost unfenced");
    if (context_.Mutated(Mutation::kNoQuarantine)) lost->fenced = true;
  }
  if (std::holds_alternative<PullFenced>(event) &&
      (context_.Mutated(Mutation::kForgetFence) || context_.Mutated(Mutation::kNoQuarantine))) {
    return;
  }
  Report(std::move(event));
}

void SimHandoff::Report(HandoffEvent event) {
  const char* what = kEventNames[event.index()];
  const HandoffId id = std::visit([](const auto& e) { return e.id; }, event);
  std::string why;
  if (const auto* ended = std::get_if<OwnEnded>(&event)) why = ended->held ? "held" : ended->reason;
  if (const auto* lost = std::get_if<PullLost>(&event)) why = std::string(lost->status.message());
  context_.coverage->Hit(absl::StrCat("handoff/event/", what));
  context_.Note(name_, what, "stream ", id.stream.hi % 10000, ".", id.attempt.claim, ".", id.attempt.n, " ",
                why);
  to_worker_.Post([this, event = std::move(event)] { on_event_(event); });
}

std::string SimHandoff::WhyNotAtBaseline() const {
  if (owner_.records() != 0) return absl::StrCat(name_, ": ", owner_.records(), " leases are left");
  if (reader_.pulls() != 0) return absl::StrCat(name_, ": ", reader_.pulls(), " pulls are left");
  if (transport_.reads_open() != 0)
    return absl::StrCat(name_, ": ", transport_.reads_open(), " reads are left");
  if (reader_.bytes_in_flight() != 0) return absl::StrCat(name_, ": bytes in flight are left");
  return "";
}

std::string OwnerTransitionName(OwnerState from, OwnerState to) {
  return absl::StrCat("owner/", kOwnerNames[static_cast<size_t>(from)], " -> ",
                      kOwnerNames[static_cast<size_t>(to)]);
}

std::string ReaderTransitionName(ReaderState from, ReaderState to) {
  return absl::StrCat("reader/", kReaderNames[static_cast<size_t>(from)], " -> ",
                      kReaderNames[static_cast<size_t>(to)]);
}

void SimHandoff::ReportTransitions() {
  for (const auto& [from, to] : HandoffOwner::LegalTransitions()) {
    context_.coverage->Hit(OwnerTransitionName(from, to), owner_.transitions().count(from, to));
  }
  for (const auto& [from, to] : HandoffReader::LegalTransitions()) {
    context_.coverage->Hit(ReaderTransitionName(from, to), reader_.transitions().count(from, to));
  }
}

}  // namespace baton::sim
