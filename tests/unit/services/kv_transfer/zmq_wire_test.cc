// The ZeroMQ wire by itself: messages, reads, aborts, hostile frames.

#include "services/kv_transfer/transport/zmq_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zmq.h>

#include <map>

#include "common/clock.h"

namespace baton {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Recorder final : public WireHandler {
 public:
  void OnMessage(PeerId from, absl::string_view message) override { messages.emplace_back(from, message); }
  absl::StatusOr<std::vector<ByteRange>> OnRead(PeerId, absl::string_view grant) override {
    if (grant == "all") return std::vector<ByteRange>{{0, 0, 100}, {0, 200, 56}};
    if (grant == "beyond") return std::vector<ByteRange>{{0, 1000, 100}};
    if (grant == "wrapped") return std::vector<ByteRange>{{0, ~uint64_t{0} - 10, 100}};
    if (grant == "short") return std::vector<ByteRange>{{0, 0, 10}};
    return absl::PermissionDeniedError("no");
  }
  void OnReadDone(uint64_t tag, absl::Status status) override { done[tag] = status; }
  void OnMalformed(PeerId, absl::string_view) override { ++malformed; }

  std::vector<std::pair<PeerId, std::string>> messages;
  std::map<uint64_t, absl::Status> done;
  int malformed = 0;
};

class ZmqWireTest : public ::testing::Test {
 protected:
  ZmqWireTest() : source(1024), target(1024) {
    for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<std::byte>(i * 7);
    ZmqOptions options;
    options.max_message_bytes = 1 << 20;
    server = *NewZmqTransport(options);
    client = *NewZmqTransport(options);
    EXPECT_EQ(*server->Register(absl::MakeSpan(source)), 0u);
    EXPECT_EQ(*client->Register(absl::MakeSpan(target)), 0u);
    peer = *client->Connect(server->endpoint(), "");
  }
  // Polls both until `done` holds, or for ten seconds.
  template <typename Done>
  bool Until(Done done) {
    SteadyClock clock;
    const MonoTime until = clock.Now() + absl::Seconds(10);
    while (!done() && clock.Now() < until) {
      server->Poll(absl::Milliseconds(1), &at_server);
      client->Poll(absl::Milliseconds(1), &at_client);
    }
    return done();
  }
  absl::Status Read(uint64_t tag, const std::string& grant, std::vector<CopyOp> ops) {
    EXPECT_EQ(client->PostReads({peer, tag, grant, "", std::move(ops)}), WireResult::kOk);
    EXPECT_TRUE(Until([&] { return at_client.done.contains(tag); }));
    return at_client.done[tag];
  }

  std::vector<std::byte> source, target;
  std::unique_ptr<Transport> server, client;
  PeerId peer = 0;
  Recorder at_server, at_client;
};

TEST_F(ZmqWireTest, ARequestIsSmallAndAnAnswerNeedNotBe) {
  ASSERT_EQ(client->Send(peer, std::string(60 << 10, 'x')), WireResult::kOk);
  ASSERT_TRUE(Until([&] { return at_server.messages.size() == 1; }));
  ASSERT_EQ(server->Send(at_server.messages[0].first, std::string(900 << 10, 'y')), WireResult::kOk);
  ASSERT_TRUE(Until([&] { return at_client.messages.size() == 1; }));
  (void)client->Send(peer, std::string(70 << 10, 'z'));  // the connection is dropped, and made again
  EXPECT_TRUE(Until([&] {
    (void)client->Send(peer, "again");
    return at_server.messages.size() > 1;
  }));
  EXPECT_EQ(at_server.messages[1].second, "again");
}

TEST_F(ZmqWireTest, EndpointIsTheRealOne) {
  EXPECT_THAT(server->endpoint(), HasSubstr("tcp://127.0.0.1:"));
  EXPECT_NE(server->endpoint(), "tcp://127.0.0.1:0");
  ZmqOptions options;
  options.bind = "tcp://0.0.0.0:0";
  options.advertise_host = "decode-0.svc";
  EXPECT_THAT((*NewZmqTransport(options))->endpoint(), HasSubstr("tcp://decode-0.svc:"));
  options.bind = "tcp://nowhere.invalid:1";
  EXPECT_FALSE(NewZmqTransport(options).ok());
  options.curve_public_key = "one without the other";
  EXPECT_FALSE(NewZmqTransport(options).ok());
}

TEST_F(ZmqWireTest, MessagesGoBothWays) {
  EXPECT_EQ(client->Send(peer, "hello"), WireResult::kOk);
  ASSERT_TRUE(Until([&] { return !at_server.messages.empty(); }));
  EXPECT_EQ(at_server.messages[0].second, "hello");
  EXPECT_EQ(server->Send(at_server.messages[0].first, ""), WireResult::kOk);
  ASSERT_TRUE(Until([&] { return !at_client.messages.empty(); }));
  EXPECT_EQ(at_client.messages[0], std::make_pair(peer, std::string()));
  EXPECT_EQ(*client->Connect(server->endpoint(), ""), peer) << "the same connection";
}

TEST_F(ZmqWireTest, ReadsScatterWhatTheOwnerGathers) {
  ASSERT_TRUE(Read(1, "all", {{0, 0, 0, 900, 30}, {0, 30, 0, 0, 126}}).ok());
  EXPECT_EQ(target[900], source[0]);
  EXPECT_EQ(target[929], source[29]);
  EXPECT_EQ(target[0], source[30]);
  EXPECT_EQ(target[70], source[200]);
  EXPECT_EQ(target[125], source[255]);
  EXPECT_EQ(target[126], std::byte{0});
}

TEST_F(ZmqWireTest, ReadsThatAreRefusedOrOutOfBoundsWriteNothing) {
  for (const char* grant : {"none", "beyond", "wrapped", "short"}) {
    const uint64_t tag = at_client.done.size() + 1;
    EXPECT_TRUE(absl::IsFailedPrecondition(Read(tag, grant, {{0, 0, 0, 0, 100}}))) << grant;
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(Read(9, "all", {{0, 0, 0, 1000, 156}}))) << "beyond our own region";
  EXPECT_EQ(target, std::vector<std::byte>(1024));
}

TEST_F(ZmqWireTest, AnAbortedReadCompletesOnceAndLandsNowhere) {
  EXPECT_EQ(client->PostReads({peer, 1, "all", "", {{0, 0, 0, 0, 156}}}), WireResult::kOk);
  client->Abort(1);
  client->Abort(1);
  client->Poll(absl::ZeroDuration(), &at_client);
  EXPECT_TRUE(absl::IsCancelled(at_client.done[1]));
  ASSERT_TRUE(Read(2, "all", {{0, 0, 0, 500, 156}}).ok());
  EXPECT_EQ(target[0], std::byte{0});
  EXPECT_EQ(target[1], std::byte{0});
}

TEST_F(ZmqWireTest, DisconnectCancelsReads) {
  EXPECT_EQ(client->PostReads({peer, 1, "all", "", {{0, 0, 0, 0, 156}}}), WireResult::kOk);
  client->Disconnect(peer);
  client->Poll(absl::ZeroDuration(), &at_client);
  EXPECT_TRUE(absl::IsCancelled(at_client.done[1]));
  EXPECT_EQ(client->Send(peer, "x"), WireResult::kGone);
  EXPECT_EQ(client->PostReads({peer, 2, "all", "", {}}), WireResult::kGone);
}

TEST_F(ZmqWireTest, AFullQueueIsBusy) {
  ZmqOptions options;
  options.high_water = 4;
  auto sender = *NewZmqTransport(options);
  const PeerId nobody = *sender->Connect("tcp://127.0.0.1:1", "");
  WireResult last = WireResult::kOk;
  for (int i = 0; i < 10 && last == WireResult::kOk; ++i) last = sender->Send(nobody, "x");
  EXPECT_EQ(last, WireResult::kBusy);
}

TEST_F(ZmqWireTest, APeerThatVanishedIsGone) {
  EXPECT_EQ(client->Send(peer, "hello"), WireResult::kOk);
  ASSERT_TRUE(Until([&] { return !at_server.messages.empty(); }));
  const PeerId from = at_server.messages[0].first;
  client = *NewZmqTransport({});
  EXPECT_TRUE(Until([&] { return server->Send(from, "x") == WireResult::kGone; }));
}

TEST_F(ZmqWireTest, WakeEndsAPollAndIsNotForgotten) {
  SteadyClock clock;
  const MonoTime start = clock.Now();
  server->Wake();
  server->Poll(absl::Seconds(30), &at_server);
  EXPECT_LT(clock.Now() - start, absl::Seconds(20));
}

// A raw socket that speaks ZeroMQ but not our frames.
TEST_F(ZmqWireTest, StrangeFramesAreCountedAndDropped) {
  void* context = zmq_ctx_new();
  void* raw = zmq_socket(context, ZMQ_DEALER);
  const int linger = 0;
  zmq_setsockopt(raw, ZMQ_LINGER, &linger, sizeof linger);
  ASSERT_EQ(zmq_connect(raw, server->endpoint().c_str()), 0);
  const auto send = [&](std::vector<std::string> parts) {
    for (size_t i = 0; i < parts.size(); ++i) {
      zmq_send(raw, parts[i].data(), parts[i].size(), i + 1 < parts.size() ? ZMQ_SNDMORE : 0);
    }
  };
  const std::string header("M\0\0\0\0\0\0\0\0", 9), data("D\0\0\0\0\0\0\0\0", 9);
  send({""});
  send({"M"});
  send({std::string(9, 'Z'), "payload"});
  send({header});
  send({header, "a", "b", "c"});
  send({data, "unasked"});
  send({header, "good"});
  EXPECT_TRUE(Until([&] { return !at_server.messages.empty(); }));
  EXPECT_EQ(at_server.malformed, 6);
  EXPECT_EQ(at_server.messages.size(), 1u);

  send({header, std::string(2 << 20, 'x')});  // beyond ZMQ_MAXMSGSIZE: the connection is dropped
  EXPECT_EQ(client->Send(peer, "still here"), WireResult::kOk);
  EXPECT_TRUE(Until([&] { return at_server.messages.size() == 2; }));
  EXPECT_EQ(at_server.messages[1].second, "still here");
  zmq_close(raw);
  zmq_ctx_term(context);
}

}  // namespace
}  // namespace baton
