// FastWire, over each of its ways: right bytes, wrong bytes, refusals, aborts, peers that go, and what was
// asked for but is not there.

#include "services/kv_transfer/transport/fast_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <utility>

#include "absl/strings/str_split.h"
#include "common/checksum.h"
#include "services/kv_transfer/transport/ucx_node.h"
#include "services/kv_transfer/transport/wire_key.h"
#include "services/kv_transfer/transport/zmq_wire.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr size_t kBytes = 8 << 20;
constexpr size_t kUnit = 2048;

// Serves grants of the form "OFFSET,OFFSET,...": units of region 0.
class Recorder final : public WireHandler {
 public:
  void OnMessage(PeerId, absl::string_view message) override { messages.emplace_back(message); }
  absl::StatusOr<std::vector<ByteRange>> OnRead(PeerId, absl::string_view grant) override {
    std::vector<ByteRange> ranges;
    if (grant == "no") return absl::PermissionDeniedError("not yours");
    for (const absl::string_view offset : absl::StrSplit(grant, ','))
      ranges.push_back({0, std::stoull(std::string(offset)), kUnit});
    return ranges;
  }
  void OnReadDone(uint64_t tag, absl::Status status) override {
    EXPECT_FALSE(done.contains(tag)) << "completed twice";
    done[tag] = status;
    if (then != nullptr) std::exchange(then, nullptr)();
  }
  void OnMalformed(PeerId, absl::string_view) override { ++malformed; }

  std::vector<std::string> messages;
  std::map<uint64_t, absl::Status> done;
  std::function<void()> then;  // once, when a read is done
  int malformed = 0;
};

class FastWireTest : public ::testing::TestWithParam<WireChoice> {
 protected:
  FastWireTest() {
    for (size_t i = 0; i + 8 <= kBytes; i += 8) {
      const uint64_t word = rng();
      std::memcpy(source->span().data() + i, &word, 8);
    }
  }
  void StartBoth(FastWireOptions reader = {}) {
    FastWireOptions options;
    options.choice = reader.choice = GetParam();
    options.shared = {source.get()};
    reader.shared = {target.get()};
    server = *NewFastWire(options, &clock);
    client = *NewFastWire(reader, &clock);
    ASSERT_TRUE(server->Register(source->span()).ok());
    ASSERT_TRUE(client->Register(target->span()).ok());
    peer = *client->Connect(server->endpoint(), "");
  }
  // A read of units scattered over both sides.
  ReadBatch BatchOf(uint64_t tag, int units = 40) {
    ReadBatch batch{peer, tag, "", server->RemoteKey(0), {}, {}};
    for (int i = 0; i < units; ++i) {
      const uint64_t from = rng() % (kBytes / kUnit) * kUnit;
      batch.grant += std::to_string(from) + ",";
      batch.ops.push_back({0, from, 0, (tag * 64 + i) * kUnit, kUnit});
      batch.checks.push_back({kUnit, Checksum64(source->span().subspan(from, kUnit))});
    }
    batch.grant.pop_back();
    return batch;
  }
  template <typename Done>
  bool Until(Done done, absl::Duration patience = absl::Seconds(10)) {
    const MonoTime until = clock.Now() + patience;
    while (!done() && clock.Now() < until) {
      if (server != nullptr) server->Poll(absl::Milliseconds(1), &at_server);
      client->Poll(absl::Milliseconds(1), &at_client);
    }
    return done();
  }
  absl::Status Read(ReadBatch batch) {
    const uint64_t tag = batch.tag;
    EXPECT_EQ(client->PostReads(std::move(batch)), WireResult::kOk);
    EXPECT_TRUE(Until([&] { return at_client.done.contains(tag); }));
    return at_client.done[tag];
  }
  bool Arrived(const ReadBatch& batch) const {
    for (const CopyOp& op : batch.ops) {
      if (std::memcmp(source->span().data() + op.remote_offset, target->span().data() + op.local_offset,
                      op.length) != 0)
        return false;
    }
    return true;
  }

  const SteadyClock clock;
  std::mt19937_64 rng{7};
  const std::unique_ptr<SharedMemory> source = *SharedMemory::Create(kBytes);
  const std::unique_ptr<SharedMemory> target = *SharedMemory::Create(kBytes);
  std::unique_ptr<Transport> server, client;
  PeerId peer = 0;
  Recorder at_server, at_client;
};

TEST_P(FastWireTest, ReadsScatteredBytesAndSaysHow) {
  StartBoth();
  for (uint64_t tag = 1; tag <= 20; ++tag) {
    const ReadBatch batch = BatchOf(tag);
    ASSERT_TRUE(Read(batch).ok()) << at_client.done[tag];
    EXPECT_TRUE(Arrived(batch));
  }
  ASSERT_TRUE(Until([&] { return client->links()[0].round_trip > absl::ZeroDuration(); }));
  ASSERT_THAT(client->links(), SizeIs(1));
  const WireLink link = client->links()[0];
  EXPECT_EQ(link.wire, WireChoiceName(GetParam() == WireChoice::kAuto ? WireChoice::kShm : GetParam()));
  EXPECT_EQ(link.endpoint, server->endpoint());
  EXPECT_GT(link.gbps, 0);
  EXPECT_EQ(at_server.malformed + at_client.malformed, 0);
}

TEST_P(FastWireTest, WrongBytesAreDataLoss) {
  StartBoth();
  ReadBatch batch = BatchOf(1);
  batch.checks[17].checksum ^= 1;
  EXPECT_TRUE(absl::IsDataLoss(Read(batch))) << at_client.done[1];
  batch = BatchOf(2);
  batch.checks.clear();
  EXPECT_TRUE(Read(batch).ok()) << "nothing to check";
  EXPECT_TRUE(Arrived(batch));
}

TEST_P(FastWireTest, WhatIsOutOfBoundsIsRefused) {
  StartBoth();
  ReadBatch beyond = BatchOf(1, 1);
  beyond.ops[0].local_offset = kBytes - 8;
  EXPECT_TRUE(absl::IsFailedPrecondition(Read(beyond)));
  ReadBatch outside = BatchOf(2, 1);
  outside.ops[0].remote_offset = ~uint64_t{0} - 100;
  outside.grant = "no";
  EXPECT_TRUE(absl::IsFailedPrecondition(Read(outside))) << at_client.done[2];
}

TEST_P(FastWireTest, AnAbortedReadWritesNoMore) {
  StartBoth();
  ASSERT_TRUE(Read(BatchOf(1)).ok());
  const ReadBatch batch = BatchOf(2);
  ASSERT_EQ(client->PostReads(batch), WireResult::kOk);
  client->Abort(2);
  ASSERT_TRUE(Until([&] { return at_client.done.contains(2); }));
  EXPECT_TRUE(absl::IsCancelled(at_client.done[2])) << at_client.done[2];
  std::memset(target->span().data(), 0, kBytes);
  ASSERT_TRUE(Read(BatchOf(3)).ok());
  for (const CopyOp& op : batch.ops) {
    for (const std::byte byte : target->span().subspan(op.local_offset, op.length))
      ASSERT_EQ(byte, std::byte{0});
  }
}

TEST_P(FastWireTest, ADisconnectedPeersReadsAreCancelled) {
  StartBoth();
  ASSERT_TRUE(Read(BatchOf(1)).ok());
  for (uint64_t tag = 2; tag < 6; ++tag) ASSERT_EQ(client->PostReads(BatchOf(tag)), WireResult::kOk);
  client->Disconnect(peer);
  ASSERT_TRUE(Until([&] { return at_client.done.size() == 5; }));
  for (uint64_t tag = 2; tag < 6; ++tag) EXPECT_TRUE(absl::IsCancelled(at_client.done[tag]));
  EXPECT_EQ(client->PostReads(BatchOf(7)), WireResult::kGone);
  peer = *client->Connect(server->endpoint(), "");
  EXPECT_TRUE(Read(BatchOf(8)).ok()) << "and it can be reached again";
}

TEST_P(FastWireTest, TooSlowIsAnErrorInWords) {
  StartBoth({.min_gbps = 1e6});
  const absl::Status status = Read(BatchOf(1));
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("--kv_min_gbps asks for 1000000.00"));
  ASSERT_THAT(client->links(), SizeIs(1));
  EXPECT_EQ(client->links()[0].wire, "none");
}

// What failed while the peer was away says nothing of its next life.
TEST_P(FastWireTest, APeerThatWasAwayIsReadFromInItsNextLife) {
  StartBoth({.probe_timeout = absl::Milliseconds(200)});
  ASSERT_TRUE(Read(BatchOf(1)).ok());
  ZmqOptions same;
  same.bind = server->endpoint();
  const ReadBatch early = BatchOf(2), between = BatchOf(3);
  server.reset();
  EXPECT_EQ(client->PostReads(early), WireResult::kOk);
  Until([&] { return at_client.done.contains(2); }, absl::Seconds(1));
  EXPECT_EQ(client->PostReads(between), WireResult::kOk);
  server = *NewFastWire({.zmq = same, .choice = GetParam(), .shared = {source.get()}}, &clock);
  ASSERT_TRUE(server->Register(source->span()).ok());
  const ReadBatch batch = BatchOf(4);
  EXPECT_TRUE(Read(batch).ok()) << at_client.done[4];
  EXPECT_TRUE(Arrived(batch));
}

INSTANTIATE_TEST_SUITE_P(Ways, FastWireTest,
                         ::testing::Values(WireChoice::kAuto, WireChoice::kShm, WireChoice::kTcp,
                                           WireChoice::kUcx, WireChoice::kZmq),
                         [](const auto& info) { return std::string(WireChoiceName(info.param)); });

class WireChoiceTest : public FastWireTest {};
INSTANTIATE_TEST_SUITE_P(Asked, WireChoiceTest,
                         ::testing::Values(WireChoice::kShm, WireChoice::kTcp, WireChoice::kUcx),
                         [](const auto& info) { return std::string(WireChoiceName(info.param)); });

TEST_P(WireChoiceTest, WhatThePeerLacksIsAnErrorInWords) {
  StartBoth();
  server = *NewFastWire({.choice = WireChoice::kZmq}, &clock);
  ASSERT_TRUE(server->Register(source->span()).ok());
  peer = *client->Connect(server->endpoint(), "");
  const absl::Status status = Read(BatchOf(1));
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("does not reach"));
}

TEST_P(WireChoiceTest, APeerOfZeroMqOnlyIsAnErrorInWords) {
  StartBoth();
  ReadBatch batch = BatchOf(1);
  batch.remote_key.clear();
  EXPECT_THAT(std::string(Read(batch).message()), HasSubstr("the peer speaks only ZeroMQ"));
}

class StreamWireTest : public FastWireTest {};
INSTANTIATE_TEST_SUITE_P(Tcp, StreamWireTest, ::testing::Values(WireChoice::kTcp));

TEST_P(StreamWireTest, APeerThatWasOutOfReachForAMomentIsLookedAtSoon) {
  StartBoth({.probe_timeout = absl::Milliseconds(200)});
  WireKey key = *DecodeWireKey(server->RemoteKey(0));
  key.stream->address = "127.0.0.1:1";
  ReadBatch batch = BatchOf(1);
  batch.remote_key = EncodeWireKey(key);
  EXPECT_TRUE(absl::IsFailedPrecondition(Read(batch))) << at_client.done[1];
  const MonoTime until = clock.Now() + absl::Seconds(5);
  ReadBatch again = BatchOf(2);
  while (!Read(again).ok() && clock.Now() < until) ++again.tag;
  EXPECT_TRUE(at_client.done[again.tag].ok()) << at_client.done[again.tag];
}

class SharedWireTest : public FastWireTest {};
INSTANTIATE_TEST_SUITE_P(Shm, SharedWireTest, ::testing::Values(WireChoice::kShm));

// A read that is posted while another's end is told is not left until somebody sends a message.
TEST_P(SharedWireTest, WhatIsPostedWhileAReadEndsIsDoneAtOnce) {
  StartBoth();
  ASSERT_TRUE(Read(BatchOf(1)).ok());
  Until([&] { return client->links()[0].round_trip > absl::ZeroDuration(); });
  Until([] { return false; }, absl::Milliseconds(50));
  at_client.then = [&] { ASSERT_EQ(client->PostReads(BatchOf(3)), WireResult::kOk); };
  ASSERT_EQ(client->PostReads(BatchOf(2)), WireResult::kOk);
  const MonoTime begun = clock.Now();
  for (int polls = 0; polls < 3 && !at_client.done.contains(3); ++polls)
    client->Poll(absl::Seconds(20), &at_client);
  EXPECT_LT(clock.Now() - begun, absl::Seconds(10));
  EXPECT_TRUE(at_client.done.contains(3));
}

class AutoWireTest : public FastWireTest {};
INSTANTIATE_TEST_SUITE_P(Auto, AutoWireTest, ::testing::Values(WireChoice::kAuto));

TEST_P(AutoWireTest, TakesTheNextWayThatIsThere) {
  StartBoth();
  for (const WireChoice left : {WireChoice::kTcp, WireChoice::kZmq}) {
    server = *NewFastWire({.choice = left}, &clock);
    ASSERT_TRUE(server->Register(source->span()).ok());
    peer = *client->Connect(server->endpoint(), "");
    const ReadBatch batch = BatchOf(10 + static_cast<uint64_t>(left));
    ASSERT_TRUE(Read(batch).ok());
    EXPECT_TRUE(Arrived(batch));
    EXPECT_EQ(client->links().back().wire, WireChoiceName(left));
  }
}

// Where keys are configured nothing goes in the clear unasked.
TEST_P(AutoWireTest, WithKeysBytesOfAnotherHostGoOverZeroMq) {
  FastWireOptions options;
  const CurvePair keys = CurvePair::Generate();
  options.zmq.curve_public_key = keys.public_key;
  options.zmq.curve_secret_key = keys.secret_key;
  server = *NewFastWire(options, &clock);
  client = *NewFastWire(options, &clock);
  ASSERT_TRUE(server->Register(source->span()).ok());
  ASSERT_TRUE(client->Register(target->span()).ok());
  peer = *client->Connect(server->endpoint(), server->public_key());
  EXPECT_FALSE(DecodeWireKey(server->RemoteKey(0))->stream.has_value());
  const ReadBatch batch = BatchOf(1);
  ASSERT_TRUE(Read(batch).ok()) << at_client.done[1];
  EXPECT_TRUE(Arrived(batch));
  EXPECT_EQ(client->links()[0].wire, "zmq");
}

TEST_P(AutoWireTest, UcxIsThereOnlyWithRdma) {
  StartBoth();
  EXPECT_EQ(DecodeWireKey(server->RemoteKey(0))->ucx.has_value(), HasRdma());
}

TEST_P(AutoWireTest, AnotherLifeOfThePeerIsAnotherLink) {
  StartBoth();
  ASSERT_TRUE(Read(BatchOf(1)).ok());
  ZmqOptions same;
  same.bind = server->endpoint();
  server.reset();
  server = *NewFastWire({.zmq = same, .shared = {source.get()}}, &clock);
  ASSERT_TRUE(server->Register(source->span()).ok());
  const ReadBatch batch = BatchOf(2);
  EXPECT_TRUE(Read(batch).ok()) << at_client.done[2];
  EXPECT_TRUE(Arrived(batch));
}

TEST_P(AutoWireTest, AStrangersStreamIsDropped) {
  StartBoth();
  auto stranger =
      *NewFastWire({.choice = WireChoice::kTcp, .probe_timeout = absl::Milliseconds(200)}, &clock);
  ASSERT_TRUE(stranger->Register(target->span()).ok());
  WireKey key = *DecodeWireKey(server->RemoteKey(0));
  key.stream->token = {1, 2};
  ReadBatch batch = BatchOf(1);
  batch.remote_key = EncodeWireKey(key);
  batch.peer = *stranger->Connect(server->endpoint(), "");
  std::swap(client, stranger);
  EXPECT_TRUE(absl::IsFailedPrecondition(Read(batch))) << at_client.done[1];
  EXPECT_GE(at_server.malformed, 1);
}

TEST(WireKeyTest, SaysWhatItWasToldAndRefusesNonsense) {
  WireKey key{.process = {1, 2}, .bytes = 77};
  EXPECT_EQ(*DecodeWireKey(EncodeWireKey(key)), key);
  key.shared = {{{3, 4}, 5, 6, 7, 8}, 9};
  key.stream = {"10.0.0.1:99", {10, 11}};
  key.ucx = {std::string(700, 'w'), "rkey", 12, 13};
  const std::string text = EncodeWireKey(key);
  EXPECT_EQ(*DecodeWireKey(text), key);
  for (size_t cut = 0; cut < text.size(); ++cut) EXPECT_FALSE(DecodeWireKey(text.substr(0, cut)).ok());
  EXPECT_FALSE(DecodeWireKey(text + "x").ok());
  for (size_t at = 0; at < text.size(); ++at) {
    std::string damaged = text;
    damaged[at] ^= 1;
    EXPECT_FALSE(DecodeWireKey(damaged).ok()) << at;
  }
  for (const size_t length : {size_t{0}, size_t{4000}}) {
    WireKey bad = key;
    bad.ucx->worker.assign(length, 'w');
    EXPECT_FALSE(DecodeWireKey(EncodeWireKey(bad)).ok()) << length;
  }
  EXPECT_FALSE(DecodeWireKey(std::string(100, '\xff')).ok());
}

TEST(WireChoiceNameTest, BothWays) {
  EXPECT_EQ(*ParseWireChoice("tcp"), WireChoice::kTcp);
  EXPECT_FALSE(ParseWireChoice("rdma").ok());
  EXPECT_FALSE(NewFastWire({.choice = WireChoice::kShm}, nullptr).ok()) << "no memory is shared";
}

}  // namespace
}  // namespace baton
