// Lanes: messages over a Unix socket that only the proven peer can open, and whatever goes wrong with one.

#include "services/kv_transfer/transport/lanes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <deque>
#include <random>
#include <set>

namespace baton {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// One process's end: what it says over the proven way waits until the test carries it over.
class Party final : public Lanes::Host {
 public:
  Party(PeerId other, const ManualClock* clock) : other(other), clock_(clock) {
    lanes = *Lanes::Open(this, &watch_);
  }

  MonoTime Now() const override { return clock_->Now(); }
  bool Knows(PeerId peer) const override { return peer == other; }
  WireResult SendProven(PeerId, absl::string_view message) override {
    proven.emplace_back(message);
    return WireResult::kOk;
  }
  void OnLaneMessage(PeerId from, absl::string_view message) override {
    EXPECT_EQ(from, other);
    heard.emplace_back(message);
  }
  void OnLaneMalformed(PeerId, absl::string_view) override { ++malformed; }
  void OnLaneDenied(absl::string_view) override { ++denied; }
  void OnLaneChange(PeerId, bool up) override { changes.push_back(up); }

  PeerId other;  // whom it knows
  std::vector<std::string> proven, heard;
  std::vector<bool> changes;
  int malformed = 0, denied = 0;
  std::unique_ptr<Lanes> lanes;

 private:
  const ManualClock* const clock_;
  Watch watch_;
};

class LanesTest : public ::testing::Test {
 protected:
  static constexpr PeerId kHost = 7, kGuest = 1001;  // as they know each other

  // What was said over the proven way arrives; all of it that is about lanes, in order.
  void Carry() {
    for (const std::string& said : std::exchange(guest.proven, {})) host.lanes->OnProven(kGuest, said);
    for (const std::string& said : std::exchange(host.proven, {})) guest.lanes->OnProven(kHost, said);
  }
  void Turn() {
    for (int i = 0; i < 3; ++i) {
      host.lanes->Progress();
      guest.lanes->Progress();
      host.lanes->Flush();
      guest.lanes->Flush();
    }
  }
  void Up() {
    guest.lanes->Want(kHost);
    Carry();
    Turn();
    ASSERT_TRUE(guest.lanes->Has(kHost) && host.lanes->Has(kGuest));
  }
  // A guest in the test's own hand, up to its hello.
  LaneTold Ask() {
    const Id128 nonce = RandomId128();
    host.lanes->OnProven(kGuest, EncodeLaneAsk({nonce}));
    const auto told = DecodeLaneTold(host.proven.back());
    EXPECT_TRUE(told.has_value() && told->nonce == nonce);
    host.proven.clear();
    return *told;
  }
  LaneSocket ConnectAndSay(const std::string& name, const std::string& packet) {
    LaneSocket socket = *LaneSocket::Connect(name);
    EXPECT_EQ(socket.Send({packet}), size_t{1});
    Turn();
    return socket;
  }
  LaneSocket UpByHand() {
    const LaneTold told = Ask();
    LaneSocket socket =
        ConnectAndSay(told.name, EncodeLaneGreeting(LanePacketKind::kHello, told.secrets.guest));
    EXPECT_TRUE(host.lanes->Has(kGuest));
    EXPECT_EQ(socket.Receive(&inbox), LaneSocket::End::kOpen);
    EXPECT_THAT(inbox.packets(),
                ElementsAre(EncodeLaneGreeting(LanePacketKind::kWelcome, told.secrets.host)));
    return socket;
  }
  bool Closed(const LaneSocket& socket) {
    Turn();
    return socket.Receive(&inbox) == LaneSocket::End::kClosed;
  }

  ManualClock clock;
  Party host{kGuest, &clock}, guest{kHost, &clock};
  LaneInbox inbox;
};

TEST_F(LanesTest, CarriesMessagesBothWaysInOrder) {
  Up();
  EXPECT_THAT(guest.changes, ElementsAre(true));
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(guest.lanes->Send(kHost, std::to_string(i)));
    ASSERT_TRUE(host.lanes->Send(kGuest, std::string(1000 * i, 'x')));
  }
  EXPECT_THAT(host.heard, IsEmpty()) << "before Flush";
  for (int i = 0; i < 10; ++i) Turn();
  ASSERT_THAT(host.heard, SizeIs(40));
  ASSERT_THAT(guest.heard, SizeIs(40));
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(host.heard[i], std::to_string(i));
    EXPECT_THAT(guest.heard[i], SizeIs(1000 * i));
  }
  EXPECT_THAT(guest.proven, IsEmpty());
  EXPECT_EQ(host.malformed + guest.malformed + host.denied, 0);
}

TEST_F(LanesTest, NobodyIsReachedUnasked) {
  EXPECT_FALSE(guest.lanes->Send(kHost, "hello"));
  EXPECT_FALSE(guest.lanes->Has(kHost));
  guest.lanes->Want(kHost);
  EXPECT_FALSE(guest.lanes->Send(kHost, "hello")) << "not before the other side has proven itself";
}

TEST_F(LanesTest, AWrongSecretIsDenied) {
  const LaneTold told = Ask();
  const LaneSocket socket =
      ConnectAndSay(told.name, EncodeLaneGreeting(LanePacketKind::kHello, told.secrets.host));
  EXPECT_TRUE(Closed(socket));
  EXPECT_EQ(host.denied, 1);
  EXPECT_FALSE(host.lanes->Has(kGuest));
}

TEST_F(LanesTest, ASecretServesOnce) {
  const LaneTold told = Ask();
  const std::string hello = EncodeLaneGreeting(LanePacketKind::kHello, told.secrets.guest);
  const LaneSocket first = ConnectAndSay(told.name, hello);
  const LaneSocket second = ConnectAndSay(told.name, hello);
  EXPECT_TRUE(Closed(second));
  EXPECT_EQ(host.denied, 1);
  EXPECT_TRUE(host.lanes->Has(kGuest));
}

TEST_F(LanesTest, ASecretIsForgottenAfterAWhile) {
  const LaneTold told = Ask();
  clock.Advance(absl::Minutes(1));
  EXPECT_TRUE(
      Closed(ConnectAndSay(told.name, EncodeLaneGreeting(LanePacketKind::kHello, told.secrets.guest))));
  EXPECT_EQ(host.denied, 1);
}

TEST_F(LanesTest, AHostThatDoesNotProveItselfIsNotSpokenTo) {
  const LaneListener impostor = *LaneListener::Listen();
  guest.lanes->Want(kHost);
  const auto ask = DecodeLaneAsk(guest.proven.back());
  ASSERT_TRUE(ask.has_value());
  guest.lanes->OnProven(kHost, EncodeLaneTold({ask->nonce, {{1, 2}, {3, 4}}, impostor.name()}));
  const std::optional<LaneSocket> socket = impostor.Accept();
  ASSERT_TRUE(socket.has_value());
  EXPECT_EQ(socket->Send({EncodeLaneGreeting(LanePacketKind::kWelcome, {1, 2})}), size_t{1});
  Turn();
  EXPECT_FALSE(guest.lanes->Has(kHost));
  EXPECT_EQ(guest.malformed, 1);
  EXPECT_THAT(guest.changes, IsEmpty());
}

TEST_F(LanesTest, AnAnswerThatWasNotAskedForLeadsNowhere) {
  const LaneListener impostor = *LaneListener::Listen();
  guest.lanes->OnProven(kHost, EncodeLaneTold({{}, {{1, 2}, {3, 4}}, impostor.name()}));
  guest.lanes->Want(kHost);
  guest.lanes->OnProven(kHost, EncodeLaneTold({{5, 6}, {{1, 2}, {3, 4}}, impostor.name()}));
  EXPECT_FALSE(impostor.Accept().has_value());
}

TEST_F(LanesTest, HostileFramesCloseTheLaneAndAreCounted) {
  std::vector<std::string> hostile = {"X", "Mtoo large", EncodeLaneGreeting(LanePacketKind::kHello, {1, 2}),
                                      EncodeLaneGreeting(LanePacketKind::kWelcome, {1, 2}), "Hshort"};
  hostile[1].resize(LaneInbox::kMaxPacket + 1);
  for (size_t i = 0; i < hostile.size(); ++i) {
    const LaneSocket socket = UpByHand();
    ASSERT_EQ(socket.Send({EncodeLaneMessage("fine"), hostile[i], EncodeLaneMessage("late")}), size_t{3});
    EXPECT_TRUE(Closed(socket)) << i;
    EXPECT_EQ(host.malformed, static_cast<int>(i) + 1);
    EXPECT_THAT(host.heard, SizeIs(i + 1)) << "what came before counts, what came after does not";
  }
}

TEST_F(LanesTest, AnEmptyPacketEndsTheLane) {
  const LaneSocket socket = UpByHand();
  ASSERT_EQ(send(socket.fd(), "", 0, MSG_NOSIGNAL), 0);
  EXPECT_TRUE(Closed(socket));
  EXPECT_FALSE(host.lanes->Has(kGuest));
}

TEST_F(LanesTest, NoiseIsNeitherAGreetingNorACrash) {
  std::mt19937 rng(5);
  for (int i = 0; i < 200; ++i) {
    std::string noise(1 + rng() % 40, '\0');
    for (char& byte : noise) byte = static_cast<char>(rng());
    noise.front() = "HWMX"[rng() % 4];
    EXPECT_TRUE(Closed(ConnectAndSay(Ask().name, noise)));
    std::string said = EncodeLaneTold({{1, 1}, {{2, 2}, {3, 3}}, "name"});
    said.resize(4 + rng() % said.size());
    said.back() = static_cast<char>(rng());
    host.lanes->OnProven(kGuest, said);
  }
  EXPECT_EQ(host.lanes->Has(kGuest), false);
  EXPECT_THAT(host.heard, IsEmpty());
  EXPECT_GT(host.malformed, 0);
  EXPECT_FALSE(host.lanes->OnProven(kGuest, "a handoff message")) << "left to others";
}

TEST_F(LanesTest, WhoSaysNothingIsCut) {
  std::vector<LaneSocket> silent;
  const std::string name = Ask().name;
  for (size_t i = 0; i < Lanes::kMaxStrangers + 10; ++i) {
    silent.push_back(*LaneSocket::Connect(name));
    Turn();
  }
  EXPECT_TRUE(Closed(silent.front())) << "the oldest, for the newest";
  EXPECT_FALSE(Closed(silent.back()));
  clock.Advance(2 * Lanes::kGreetWithin);
  EXPECT_TRUE(Closed(silent.back()));
}

TEST_F(LanesTest, WhatThereIsNoRoomForGoesTheOtherWay) {
  Up();
  const std::string large(Lanes::kMaxMessage, 'x');
  EXPECT_FALSE(guest.lanes->Send(kHost, large + "x"));
  int taken = 0;
  while (guest.proven.empty() && taken < 10000) {
    taken += guest.lanes->Send(kHost, large) ? 1 : 0;
    guest.lanes->Flush();
  }
  ASSERT_THAT(guest.proven, SizeIs(1));
  EXPECT_EQ(guest.proven[0], large) << "as it was";
  EXPECT_TRUE(guest.lanes->Has(kHost)) << "full is not broken";
  for (int i = 0; i < taken; ++i) Turn();
  EXPECT_THAT(host.heard, SizeIs(taken - 1));
  size_t queued = 0;
  while (guest.lanes->Send(kHost, "x")) ++queued;
  EXPECT_EQ(queued, Lanes::kMaxQueued) << "without a Flush";
}

TEST_F(LanesTest, ABrokenOneFallsBackAndIsMadeAgainAfterAWhile) {
  Up();
  ASSERT_TRUE(guest.lanes->Send(kHost, "lost on a socket, not with one"));
  host.lanes->Drop(kGuest);
  guest.lanes->Progress();
  EXPECT_THAT(guest.proven, ElementsAre("lost on a socket, not with one"));
  EXPECT_THAT(guest.changes, ElementsAre(true, false));
  EXPECT_FALSE(guest.lanes->Send(kHost, "next"));
  guest.proven.clear();
  guest.lanes->Want(kHost);
  EXPECT_THAT(guest.proven, IsEmpty()) << "not at once";
  clock.Advance(absl::Seconds(1));
  Up();
  EXPECT_THAT(guest.changes, ElementsAre(true, false, true));
}

TEST_F(LanesTest, AnUnansweredAskIsRepeatedLessAndLessOften) {
  int asked = 0;
  for (int i = 0; i < 1000; ++i) {
    guest.lanes->Want(kHost);
    asked += static_cast<int>(std::exchange(guest.proven, {}).size());
    clock.Advance(absl::Milliseconds(100));
  }
  EXPECT_GE(asked, 8);
  EXPECT_LE(asked, 15);
}

TEST_F(LanesTest, WhoIsNotKnownAnyMoreIsNotHeard) {
  Up();
  ASSERT_TRUE(guest.lanes->Send(kHost, "from one who was listed"));
  host.other = 0;
  guest.lanes->Flush();
  EXPECT_FALSE(host.lanes->Send(kGuest, "to one who was listed"));
  host.other = kGuest;
  Turn();
  EXPECT_THAT(host.heard, IsEmpty());
  EXPECT_FALSE(guest.lanes->Has(kHost));
  const LaneTold told = Ask();
  host.other = 0;
  ConnectAndSay(told.name, EncodeLaneGreeting(LanePacketKind::kHello, told.secrets.guest));
  EXPECT_FALSE(host.lanes->Has(kGuest));
}

TEST_F(LanesTest, ADroppedOneSaysItsLast) {
  Up();
  ASSERT_TRUE(guest.lanes->Send(kHost, "Release"));
  guest.lanes->Drop(kHost);
  Turn();
  EXPECT_THAT(host.heard, ElementsAre("Release"));
  EXPECT_THAT(host.changes, ElementsAre(true, false));
}

}  // namespace
}  // namespace baton
