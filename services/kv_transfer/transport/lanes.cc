#include "services/kv_transfer/transport/lanes.h"

#include <algorithm>
#include <utility>

#include "common/status_macros.h"

namespace baton {
namespace {

constexpr absl::Duration kFirstWait = absl::Milliseconds(100), kLongestWait = absl::Seconds(30);
constexpr size_t kMaxTold = 256;
constexpr absl::Duration kToldFor = absl::Seconds(10);
constexpr int kAcceptedAtOnce = 16;

}  // namespace

absl::StatusOr<std::unique_ptr<Lanes>> Lanes::Open(Host* host, const Watch* watch) {
  BATON_ASSIGN_OR_RETURN(LaneListener listener, LaneListener::Listen());
  std::unique_ptr<Lanes> lanes(new Lanes(host, watch, std::move(listener)));
  if (lanes->watch_.fd() < 0) return absl::UnavailableError("lane: no epoll");
  return lanes;
}

Lanes::Lanes(Host* host, const Watch* watch, LaneListener listener)
    : host_(host), outer_(watch), listener_(std::move(listener)) {
  watch_.Set(listener_.fd());
  outer_->Set(watch_.fd());
}

Lanes::~Lanes() {
  outer_->Remove(watch_.fd());
}

Lanes::Lane* Lanes::LaneOf(PeerId peer) {
  const auto found = by_peer_.find(peer);
  return found == by_peer_.end() ? nullptr : &lanes_.at(found->second);
}

bool Lanes::Has(PeerId peer) const {
  const auto found = by_peer_.find(peer);
  return found != by_peer_.end() && lanes_.at(found->second).state == State::kUp;
}

void Lanes::Want(PeerId peer) {
  if (by_peer_.contains(peer)) return;
  if (!asked_.contains(peer) && asked_.size() >= kMaxLanes) return;
  Asked& asked = asked_[peer];
  const MonoTime now = host_->Now();
  if (now < asked.again) return;
  asked.wait = std::clamp(2 * asked.wait, kFirstWait, kLongestWait);
  asked.again = now + asked.wait;
  asked.nonce = RandomId128();
  (void)host_->SendProven(peer, EncodeLaneAsk({asked.nonce}));
}

bool Lanes::OnProven(PeerId from, absl::string_view message) {
  if (!IsLaneMessage(message)) return false;
  if (const auto ask = DecodeLaneAsk(message); ask.has_value()) {
    Tell(from, ask->nonce);
  } else if (const auto told = DecodeLaneTold(message); told.has_value()) {
    const auto asked = asked_.find(from);
    const bool expected = asked != asked_.end() && !told->nonce.empty() && asked->second.nonce == told->nonce;
    if (expected && !by_peer_.contains(from)) {
      asked->second.nonce = {};
      Connect(from, *told);
    }
  } else {
    host_->OnLaneMalformed(from, "not a message about a lane");
  }
  return true;
}

void Lanes::Tell(PeerId peer, const Id128& nonce) {
  const MonoTime now = host_->Now();
  std::erase_if(told_, [now](const auto& told) { return told.second.until <= now; });
  if (!told_.contains(peer) && told_.size() >= kMaxTold) return;
  const LaneSecrets secrets = {RandomId128(), RandomId128()};
  told_[peer] = {secrets, now + kToldFor};
  (void)host_->SendProven(peer, EncodeLaneTold({nonce, secrets, listener_.name()}));
}

void Lanes::Connect(PeerId peer, const LaneTold& told) {
  if (lanes_.size() >= kMaxLanes) return;
  auto socket = LaneSocket::Connect(told.name);
  if (!socket.ok()) return;  // asked for again after a while
  const std::string hello[] = {EncodeLaneGreeting(LanePacketKind::kHello, told.secrets.guest)};
  if (socket->Send(hello) != size_t{1}) return;
  Add({*std::move(socket), State::kGreeting, peer, told.secrets.host, host_->Now() + kGreetWithin, {}});
}

Lanes::Lane& Lanes::Add(Lane lane) {
  const int fd = lane.socket.fd();
  watch_.Set(fd);
  next_late_ = std::min(next_late_, lane.until);
  if (lane.peer != 0) by_peer_[lane.peer] = fd;
  return lanes_.insert_or_assign(fd, std::move(lane)).first->second;
}

void Lanes::Accept() {
  for (int i = 0; i < kAcceptedAtOnce; ++i) {
    std::optional<LaneSocket> socket = listener_.Accept();
    if (!socket.has_value()) return;
    if (!socket->OfOurUser()) {
      host_->OnLaneDenied("a lane of another user");
      continue;
    }
    int strangers = 0, oldest = -1;
    for (const auto& [fd, lane] : lanes_) {
      if (lane.state != State::kStranger) continue;
      ++strangers;
      if (oldest < 0 || lane.until < lanes_.at(oldest).until) oldest = fd;
    }
    if (strangers >= static_cast<int>(kMaxStrangers)) Close(oldest);
    if (lanes_.size() < kMaxLanes + kMaxStrangers)
      Add({*std::move(socket), State::kStranger, 0, {}, host_->Now() + kGreetWithin, {}});
  }
}

void Lanes::Progress() {
  for (const int fd : watch_.Wait(absl::ZeroDuration())) {
    if (fd == listener_.fd()) {
      Accept();
    } else {
      Receive(fd);
    }
  }
  if (host_->Now() >= next_late_) CloseLate();
}

void Lanes::CloseLate() {
  const MonoTime now = host_->Now();
  std::vector<int> late;
  next_late_ = absl::InfiniteFuture();
  for (const auto& [fd, lane] : lanes_) {
    if (lane.state == State::kUp) continue;
    if (lane.until <= now) late.push_back(fd);
    if (lane.until > now) next_late_ = std::min(next_late_, lane.until);
  }
  for (const int fd : late) Close(fd);
}

void Lanes::Receive(int fd) {
  const auto lane = lanes_.find(fd);
  if (lane == lanes_.end()) return;
  const LaneSocket::End end = lane->second.socket.Receive(&inbox_);
  for (const absl::string_view packet : inbox_.packets()) {
    if (!Take(fd, packet)) return;
  }
  if (end == LaneSocket::End::kMalformed) Malformed(fd, "a lane's message is too large");
  if (end == LaneSocket::End::kClosed) Close(fd);
}

bool Lanes::Take(int fd, absl::string_view packet) {
  Lane& lane = lanes_.at(fd);
  if (lane.state != State::kUp) return TakeGreeting(fd, packet);
  const auto parsed = DecodeLanePacket(packet);
  if (!parsed.has_value() || parsed->kind != LanePacketKind::kMessage)
    return Malformed(fd, "not a lane's message");
  const PeerId peer = lane.peer;
  if (!host_->Knows(peer)) {
    Close(fd);
    return false;
  }
  host_->OnLaneMessage(peer, parsed->message);
  const auto still = by_peer_.find(peer);
  return still != by_peer_.end() && still->second == fd;
}

bool Lanes::TakeGreeting(int fd, absl::string_view packet) {
  Lane& lane = lanes_.at(fd);
  const auto parsed = DecodeLanePacket(packet);
  const bool stranger = lane.state == State::kStranger;
  const auto wanted = stranger ? LanePacketKind::kHello : LanePacketKind::kWelcome;
  if (!parsed.has_value() || parsed->kind != wanted) return Malformed(fd, "not a lane's greeting");
  if (!stranger) {
    if (parsed->secret != lane.expects) return Malformed(fd, "a lane's welcome without its secret");
    Up(lane);
    return true;
  }
  const auto told = std::find_if(told_.begin(), told_.end(), [&](const auto& entry) {
    return entry.second.secrets.guest == parsed->secret && host_->Now() < entry.second.until;
  });
  if (told == told_.end() || !host_->Knows(told->first)) {
    host_->OnLaneDenied("a lane without its secret");
    Close(fd);
    return false;
  }
  const PeerId peer = told->first;
  const std::string welcome[] = {EncodeLaneGreeting(LanePacketKind::kWelcome, told->second.secrets.host)};
  told_.erase(told);
  if (const auto old = by_peer_.find(peer); old != by_peer_.end()) Close(old->second);
  if (lane.socket.Send(welcome) != size_t{1}) {
    Close(fd);
    return false;
  }
  lane.peer = peer;
  by_peer_[peer] = fd;
  Up(lane);
  return true;
}

void Lanes::Up(Lane& lane) {
  lane.state = State::kUp;
  if (const auto asked = asked_.find(lane.peer); asked != asked_.end()) asked->second.wait = {};
  host_->OnLaneChange(lane.peer, true);
}

bool Lanes::Malformed(int fd, absl::string_view why) {
  host_->OnLaneMalformed(lanes_.at(fd).peer, why);
  Close(fd);
  return false;
}

bool Lanes::Send(PeerId peer, absl::string_view message) {
  if (message.size() > kMaxMessage) return false;
  Lane* const lane = LaneOf(peer);
  if (lane == nullptr || lane->state != State::kUp || lane->out.size() >= kMaxQueued) return false;
  if (!host_->Knows(peer)) {
    Close(lane->socket.fd());
    return false;
  }
  lane->out.push_back(EncodeLaneMessage(message));
  queued_.insert(lane->socket.fd());
  return true;
}

void Lanes::Flush() {
  while (!queued_.empty()) FlushLane(*queued_.begin());
}

void Lanes::FlushLane(int fd) {
  if (queued_.erase(fd) == 0) return;
  Lane& lane = lanes_.at(fd);
  const PeerId peer = lane.peer;
  const std::vector<std::string> out = std::exchange(lane.out, {});
  const std::optional<size_t> sent = lane.socket.Send(out);
  if (!sent.has_value()) Close(fd);
  for (size_t i = sent.value_or(0); i < out.size(); ++i)
    (void)host_->SendProven(peer, absl::string_view(out[i]).substr(1));
}

void Lanes::Drop(PeerId peer) {
  asked_.erase(peer);
  told_.erase(peer);
  const auto found = by_peer_.find(peer);
  if (found == by_peer_.end()) return;
  FlushLane(found->second);
  if (const auto still = by_peer_.find(peer); still != by_peer_.end()) Close(still->second);
}

void Lanes::Close(int fd) {
  auto lane = lanes_.extract(fd);
  if (lane.empty()) return;
  watch_.Remove(fd);
  queued_.erase(fd);
  const PeerId peer = lane.mapped().peer;
  if (const auto found = by_peer_.find(peer); found != by_peer_.end() && found->second == fd)
    by_peer_.erase(found);
  if (lane.mapped().state != State::kUp) return;
  if (const auto asked = asked_.find(peer); asked != asked_.end())
    asked->second.again = host_->Now() + kFirstWait;
  for (const std::string& packet : lane.mapped().out)
    (void)host_->SendProven(peer, absl::string_view(packet).substr(1));
  host_->OnLaneChange(peer, false);
}

}  // namespace baton
