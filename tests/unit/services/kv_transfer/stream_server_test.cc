// The owner's end of byte streams against strangers: what makes no sense ends the connection, is counted, and
// costs the others nothing.

#include "services/kv_transfer/transport/stream_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/clock.h"

namespace baton {
namespace {

using ::testing::StartsWith;

class Owner final : public WireHandler {
 public:
  void OnMessage(PeerId, absl::string_view) override {}
  absl::StatusOr<std::vector<ByteRange>> OnRead(PeerId, absl::string_view grant) override {
    if (grant == "good") return std::vector<ByteRange>{{0, 10, 20}, {0, 100, 5}};
    if (grant == "large") return std::vector<ByteRange>{{0, 0, 1 << 20}};
    if (grant == "beyond") return std::vector<ByteRange>{{0, ~uint64_t{0} - 4, 100}};
    return absl::PermissionDeniedError("no");
  }
  void OnReadDone(uint64_t, absl::Status) override {}
  void OnMalformed(PeerId, absl::string_view) override { ++malformed; }
  int malformed = 0;
};

class StreamServerTest : public ::testing::Test {
 protected:
  StreamServerTest() : memory(1 << 20) {
    for (size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::byte>(i);
    regions.Add(absl::MakeSpan(memory));
    server = *StreamServer::Listen(ZmqOptions(), &regions, &watch);
  }
  TcpSocket Connect() {
    uint32_t port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(server->address().substr(server->address().rfind(':') + 1), &port));
    return *TcpSocket::Connect(*TcpAddress::Parse("127.0.0.1", static_cast<uint16_t>(port)));
  }
  static std::string Request(const std::string& grant, uint64_t tag = 7) {
    return EncodeHeader({StreamFrameKind::kRead, tag, static_cast<uint32_t>(grant.size())}) + grant;
  }
  std::string Hello() const { return EncodeHello(server->token()); }
  // What the server answers to `text`, until it has sent `want` bytes or ends the connection.
  std::string Ask(const TcpSocket& socket, std::string text, size_t want, bool* ended) {
    std::string got;
    *ended = false;
    const SteadyClock clock;
    const MonoTime give_up = clock.Now() + absl::Seconds(10);
    while (got.size() < want && !*ended && clock.Now() < give_up) {
      const iovec out = {text.data(), text.size()};
      if (const int64_t sent = text.empty() ? 0 : socket.Send({&out, 1}); sent > 0)
        text.erase(0, static_cast<size_t>(sent));
      server->Progress(now, &owner);
      char buffer[4096];
      const iovec in = {buffer, sizeof buffer};
      const int64_t count = socket.Receive({&in, 1});
      *ended = count < 0;
      if (count > 0) got.append(buffer, static_cast<size_t>(count));
    }
    return got;
  }
  void ExpectServed() {
    bool ended = false;
    const std::string got = Ask(Connect(), Hello() + Request("good"), kFrameHeaderBytes + 25, &ended);
    ASSERT_EQ(got.size(), kFrameHeaderBytes + 25);
    EXPECT_EQ(DecodeHeader(got.data()).tag, 7u);
    EXPECT_EQ(got[kFrameHeaderBytes], 10);
    EXPECT_EQ(got[kFrameHeaderBytes + 20], 100);
  }

  MonoTime now = absl::UnixEpoch();
  std::vector<std::byte> memory;
  Watch watch;
  Regions regions;
  std::unique_ptr<StreamServer> server;
  Owner owner;
};

TEST_F(StreamServerTest, ServesWhatAGrantStandsFor) {
  ExpectServed();
}

TEST_F(StreamServerTest, RefusalsSayWhyAndTheConnectionGoesOn) {
  bool ended = false;
  const std::string no = "no", bounds = "a read is out of bounds";
  const std::string got =
      Ask(Connect(), Hello() + Request("bad", 1) + Request("beyond", 2) + Request("good", 3),
          3 * kFrameHeaderBytes + no.size() + bounds.size() + 25, &ended);
  EXPECT_FALSE(ended);
  EXPECT_EQ(DecodeHeader(got.data()).kind, StreamFrameKind::kRefused);
  EXPECT_THAT(got.substr(kFrameHeaderBytes), StartsWith(no));
  EXPECT_THAT(got.substr(2 * kFrameHeaderBytes + no.size()), StartsWith(bounds));
  EXPECT_EQ(owner.malformed, 0);
}

TEST_F(StreamServerTest, NonsenseEndsTheConnection) {
  const std::string nonsense[] = {std::string(kHelloBytes, 'x'), EncodeHello({1, 2}),
                                  Hello() + std::string(100, '\xff'),
                                  Hello() + EncodeHeader({StreamFrameKind::kRead, 1, 0xffffffff}),
                                  Hello() + EncodeHeader({StreamFrameKind::kData, 1, 4}) + "data"};
  int before = 0;
  for (const std::string& text : nonsense) {
    bool ended = false;
    EXPECT_EQ(Ask(Connect(), text, 1, &ended), "");
    EXPECT_TRUE(ended);
    EXPECT_EQ(owner.malformed, ++before);
  }
  ExpectServed();
}

TEST_F(StreamServerTest, RandomBytesNeverHurt) {
  std::mt19937_64 rng(5);
  for (int round = 0; round < 500; ++round) {
    std::string text = Hello() + Request("good") + Request("beyond");
    for (int flips = 0; flips < 3; ++flips) text[rng() % text.size()] = static_cast<char>(rng());
    text.resize(rng() % text.size());
    const TcpSocket socket = Connect();
    const iovec out = {text.data(), text.size()};
    for (int i = 0; i < 3; ++i) {
      if (i == 1 && !text.empty()) (void)socket.Send({&out, 1});
      server->Progress(now, &owner);
    }
  }
  for (int i = 0; i < 10; ++i) server->Progress(now, &owner);
  ExpectServed();
}

TEST_F(StreamServerTest, StrangersWhoSayNothingLeaveRoom) {
  std::vector<TcpSocket> idle;
  for (int i = 0; i < 100; ++i) {
    idle.push_back(Connect());
    server->Progress(now, &owner);
  }
  ExpectServed();
}

TEST_F(StreamServerTest, WhoDoesNotShowTheTokenSoonIsDropped) {
  const TcpSocket silent = Connect(), half = Connect();
  bool ended = false;
  (void)Ask(Connect(), Hello() + Request("good"), kFrameHeaderBytes + 25, &ended);
  const TcpSocket reader = Connect();
  (void)Ask(reader, Hello() + Request("good"), kFrameHeaderBytes + 25, &ended);
  char byte = 'b';
  const iovec part = {&byte, 1};
  (void)half.Send({&part, 1});
  now += absl::Seconds(3);
  EXPECT_EQ(Ask(silent, "", 1, &ended), "");
  EXPECT_TRUE(ended);
  EXPECT_EQ(Ask(half, "", 1, &ended), "");
  EXPECT_TRUE(ended);
  EXPECT_EQ(Ask(reader, Request("good"), kFrameHeaderBytes + 25, &ended).size(), kFrameHeaderBytes + 25);
}

TEST_F(StreamServerTest, ACancelledRequestIsNotServed) {
  bool ended = false;
  const std::string cancel = EncodeHeader({StreamFrameKind::kCancel, 2, 0});
  const std::string got =
      Ask(Connect(), Hello() + Request("good", 1) + Request("good", 2) + cancel + cancel + Request("good", 3),
          2 * (kFrameHeaderBytes + 25), &ended);
  ASSERT_EQ(got.size(), 2 * (kFrameHeaderBytes + 25));
  EXPECT_EQ(DecodeHeader(got.data()).tag, 1u);
  EXPECT_EQ(DecodeHeader(got.data() + kFrameHeaderBytes + 25).tag, 3u);
  EXPECT_EQ(owner.malformed, 0);
}

// Requests that there is no room for stay in the socket, and do not keep the owner awake.
TEST_F(StreamServerTest, AFullReaderIsNotWatchedForMore) {
  const TcpSocket socket = Connect();
  std::string text = Hello();
  for (uint64_t tag = 0; tag < 20000; ++tag) text += Request("large", tag);
  for (int round = 0; round < 200; ++round) {
    const iovec out = {text.data(), text.size()};
    if (const int64_t sent = text.empty() ? 0 : socket.Send({&out, 1}); sent > 0)
      text.erase(0, static_cast<size_t>(sent));
    server->Progress(now, &owner);
  }
  epoll_event event;
  EXPECT_EQ(epoll_wait(watch.fd(), &event, 1, 0), 0);
}

TEST_F(StreamServerTest, DroppedReadersAreGone) {
  bool ended = false;
  const TcpSocket reader = Connect();
  (void)Ask(reader, Hello() + Request("good"), kFrameHeaderBytes + 25, &ended);
  server->DropReaders();
  EXPECT_EQ(Ask(reader, "", 1, &ended), "");
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace baton
