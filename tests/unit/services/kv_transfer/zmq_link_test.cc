// Connections over ZeroMQ that break, and floods of those that never become one.

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/services/kv_transfer/key_folder.h"
#include "tests/unit/services/kv_transfer/wire_party.h"

namespace baton {
namespace {

using testing::KeyFolder;
using testing::PollUntil;
using testing::WireParty;

// A TCP connection that says nothing.
class Silent {
 public:
  explicit Silent(const std::string& endpoint) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    fcntl(fd_, F_SETFL, O_NONBLOCK);
  }
  ~Silent() { close(fd_); }
  Silent(const Silent&) = delete;
  bool Over() {
    char greeting[256];
    ssize_t got = 1;
    while (connected_ && got > 0) got = read(fd_, greeting, sizeof greeting);
    if (got == 0 || (got < 0 && errno != EAGAIN)) connected_ = false;
    return !connected_;
  }

 private:
  int fd_;
  bool connected_ = false;
};

class ZmqLinkTest : public ::testing::Test {
 protected:
  ZmqLinkTest() : owner_key(keys.New("owner")), reader_key(keys.New("reader")) {
    keys.List({owner_key, reader_key});
    options = keys.Options("owner");
    options.max_unproven = 16;
    options.handshake_timeout = absl::Seconds(1);
    owner = std::make_unique<WireParty>(options);
  }
  PeerId ConnectTo(WireParty& party) {
    return party.wire->Connect(owner->wire->endpoint(), owner->wire->public_key()).value_or(0);
  }
  bool Reaches(WireParty& party, PeerId peer, const std::string& text) {
    return PollUntil({owner.get(), &party}, [&] {
      (void)party.wire->Send(peer, text);
      return owner->Heard(text);
    });
  }
  KeyFolder keys;
  AllowedKey owner_key, reader_key;
  ZmqOptions options;
  std::unique_ptr<WireParty> owner;
};

TEST_F(ZmqLinkTest, AKilledOwnerIsNoticedAtOnce) {
  WireParty reader(keys.Options("reader"));
  const PeerId peer = ConnectTo(reader);
  ASSERT_TRUE(Reaches(reader, peer, "hello"));
  EXPECT_EQ(reader.wire->PostReads({peer, 1, "bytes", "", {}}), WireResult::kOk);
  const MonoTime killed = SteadyClock().Now();
  owner->wire.reset();
  ASSERT_TRUE(PollUntil({&reader}, [&] { return reader.Saw(peer, PeerChange::kGone); }));
  EXPECT_LT(SteadyClock().Now() - killed, absl::Seconds(2));
  EXPECT_TRUE(absl::IsUnavailable(reader.done[1])) << reader.done[1];
  reader.changes.clear();
  PollUntil(
      {&reader}, [&] { return !reader.changes.empty(); }, absl::Milliseconds(500));
  EXPECT_TRUE(reader.changes.empty()) << "said once";
}

TEST_F(ZmqLinkTest, AConnectionThatIsSoonBackIsNotGone) {
  ZmqOptions patient = keys.Options("reader");
  patient.gone_after = absl::Seconds(10);
  WireParty reader(patient);
  const PeerId peer = ConnectTo(reader);
  ASSERT_TRUE(Reaches(reader, peer, "hello"));
  options.bind = owner->wire->endpoint();
  owner->wire.reset();
  owner = std::make_unique<WireParty>(options);
  ASSERT_TRUE(PollUntil({owner.get(), &reader}, [&] { return reader.Saw(peer, PeerChange::kBack); }));
  EXPECT_TRUE(Reaches(reader, peer, "again"));
  EXPECT_FALSE(reader.Saw(peer, PeerChange::kGone));
}

TEST_F(ZmqLinkTest, ARestartedOwnerHasAnotherKeyAndIsGone) {
  WireParty reader(keys.Options("reader"));
  const PeerId peer = ConnectTo(reader);
  ASSERT_TRUE(Reaches(reader, peer, "hello"));
  options.bind = owner->wire->endpoint();
  const CurvePair life = CurvePair::Generate();
  options.curve_public_key = life.public_key, options.curve_secret_key = life.secret_key;
  owner->wire.reset();
  owner = std::make_unique<WireParty>(options);
  EXPECT_TRUE(PollUntil({owner.get(), &reader}, [&] { return reader.Saw(peer, PeerChange::kGone); }));
}

TEST_F(ZmqLinkTest, NobodyAtTheEndpointIsGone) {
  ZmqOptions hasty = keys.Options("reader");
  hasty.connect_within = absl::Milliseconds(300);
  WireParty reader(hasty);
  const PeerId peer = *reader.wire->Connect("tcp://127.0.0.1:1", owner->wire->public_key());
  EXPECT_TRUE(PollUntil({&reader}, [&] { return reader.Saw(peer, PeerChange::kGone); }));
}

// A peer that is given up with something still to be sent lingers, and its connection goes on failing.
TEST_F(ZmqLinkTest, GivingUpAPeerLeavesTheOthersReachable) {
  WireParty reader(keys.Options("reader"));
  const PeerId lost = *reader.wire->Connect("tcp://127.0.0.1:1", owner->wire->public_key());
  (void)reader.wire->Send(lost, "is anybody there");
  reader.wire->Disconnect(lost);
  const PeerId peer = ConnectTo(reader);
  const MonoTime until = SteadyClock().Now() + absl::Milliseconds(500);
  for (int i = 0; SteadyClock().Now() < until; ++i)
    ASSERT_TRUE(Reaches(reader, peer, std::to_string(i))) << i;
}

TEST_F(ZmqLinkTest, AFloodOfConnectionsIsBoundedAndAListedKeyStillGetsIn) {
  std::vector<std::unique_ptr<Silent>> flood;
  const auto over = [&] {
    size_t count = 0;
    for (const auto& one : flood) count += one->Over();
    return count;
  };
  for (int i = 0; i < 200; ++i) {
    flood.push_back(std::make_unique<Silent>(owner->wire->endpoint()));
    owner->wire->Poll(absl::ZeroDuration(), owner.get());
  }
  EXPECT_TRUE(PollUntil({owner.get()}, [&] { return over() >= 200 - 16; }));
  WireParty reader(keys.Options("reader"));
  EXPECT_TRUE(Reaches(reader, ConnectTo(reader), "hello"));
  EXPECT_TRUE(PollUntil({owner.get()}, [&] { return over() == 200; }))
      << "none outlives the handshake's time";
  EXPECT_TRUE(owner->denied.size() >= 200);
}

TEST_F(ZmqLinkTest, AFloodOfUnlistedKeysIsTurnedAwayAndAListedKeyStillGetsIn) {
  std::vector<std::unique_ptr<WireParty>> flood;
  for (int i = 0; i < 20; ++i) {
    flood.push_back(std::make_unique<WireParty>(KeyFolder::Life()));
    (void)flood.back()->wire->Send(ConnectTo(*flood.back()), "let me in");
  }
  WireParty reader(keys.Options("reader"));
  const PeerId peer = ConnectTo(reader);
  EXPECT_TRUE(Reaches(reader, peer, "hello"));
  EXPECT_TRUE(PollUntil({owner.get()}, [&] { return owner->denied.size() >= 20; }));
  for (const auto& [from, message] : owner->messages) EXPECT_EQ(message, "hello");
}

}  // namespace
}  // namespace baton
