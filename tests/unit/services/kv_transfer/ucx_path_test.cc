// UCX by itself, both ways of reading: one-sided gets (here emulated, as there is no such hardware) and
// active messages.

#include "services/kv_transfer/transport/ucx_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "common/clock.h"
#include "services/kv_transfer/transport/tcp_socket.h"

namespace baton {
namespace {

constexpr size_t kBytes = 4 << 20;

class Owner final : public WireHandler {
 public:
  void OnMessage(PeerId, absl::string_view) override {}
  absl::StatusOr<std::vector<ByteRange>> OnRead(PeerId, absl::string_view grant) override {
    if (grant != "good") return absl::PermissionDeniedError("not yours");
    return std::vector<ByteRange>{{0, 4096, 8192}, {0, 1 << 20, 2 << 20}};
  }
  void OnReadDone(uint64_t, absl::Status) override {}
  void OnMalformed(PeerId, absl::string_view) override { ++malformed; }
  int malformed = 0;
};

class UcxPathTest : public ::testing::TestWithParam<UcxWay> {
 protected:
  struct Party {
    std::vector<std::byte> memory = std::vector<std::byte>(kBytes);
    Watch watch;
    Regions regions;
    std::unique_ptr<UcxNode> node;
    Owner handler;
    void Start(const UcxOptions& options) {
      regions.Add(absl::MakeSpan(memory));
      node = *UcxNode::Start(options, &regions, &watch);
      ASSERT_TRUE(node->Register(absl::MakeSpan(memory)).ok());
    }
  };
  UcxPathTest() {
    for (size_t i = 0; i < kBytes; ++i) owner.memory[i] = static_cast<std::byte>(i * 7 >> 3);
    const UcxOptions options{.one_sided = GetParam() == UcxWay::kGets, .devices = "lo"};
    owner.Start(options);
    reader.Start(options);
    key.bytes = kBytes;
    key.ucx = owner.node->KeyOf(0);
    path = *reader.node->Connect(key, GetParam());
  }
  ReadBatch BatchOf(uint64_t tag) const {
    ReadBatch batch{
        1, tag, "good", EncodeWireKey(key), {{0, 4096, 0, 0, 8192}, {0, 1 << 20, 0, 8192, 2 << 20}}, {}};
    for (const CopyOp& op : batch.ops) {
      for (uint64_t at = 0; at < op.length; at += 4096) {
        batch.checks.push_back({4096, Checksum64({owner.memory.data() + op.remote_offset + at, 4096})});
      }
    }
    return batch;
  }
  absl::Status Wait(uint64_t tag) {
    const SteadyClock clock;
    const MonoTime give_up = clock.Now() + absl::Seconds(10);
    while (!done.contains(tag) && clock.Now() < give_up) {
      owner.node->Progress(clock.Now(), &owner.handler);
      reader.node->Progress(clock.Now(), &reader.handler);
      std::vector<ReadDone> over;
      path->Progress(&over);
      for (const ReadDone& read : over) EXPECT_TRUE(done.emplace(read.tag, read.status).second);
    }
    return done.contains(tag) ? done[tag] : absl::DeadlineExceededError("not over");
  }

  Party owner, reader;
  WireKey key;
  std::unique_ptr<BytePath> path;
  std::map<uint64_t, absl::Status> done;
};

TEST_P(UcxPathTest, ReadsAndChecks) {
  ASSERT_EQ(path->Post(BatchOf(1)), WireResult::kOk);
  EXPECT_TRUE(Wait(1).ok()) << done[1];
  EXPECT_EQ(std::memcmp(reader.memory.data(), owner.memory.data() + 4096, 8192), 0);
  EXPECT_EQ(std::memcmp(reader.memory.data() + 8192, owner.memory.data() + (1 << 20), 2 << 20), 0);
  ReadBatch wrong = BatchOf(2);
  wrong.checks.back().checksum ^= 1;
  ASSERT_EQ(path->Post(std::move(wrong)), WireResult::kOk);
  EXPECT_TRUE(absl::IsDataLoss(Wait(2))) << done[2];
}

TEST_P(UcxPathTest, ProbesAndManyAtOnce) {
  ASSERT_EQ(path->Probe(99, EncodeWireKey(key), 1 << 20), WireResult::kOk);
  EXPECT_TRUE(Wait(99).ok()) << done[99];
  for (uint64_t tag = 1; tag <= 10; ++tag) ASSERT_EQ(path->Post(BatchOf(tag)), WireResult::kOk);
  for (uint64_t tag = 1; tag <= 10; ++tag) EXPECT_TRUE(Wait(tag).ok()) << done[tag];
}

TEST_P(UcxPathTest, AnAbortedReadEndsAndWritesNoMore) {
  ASSERT_EQ(path->Post(BatchOf(1)), WireResult::kOk);
  path->Abort(1);
  EXPECT_TRUE(absl::IsCancelled(Wait(1))) << done[1];
  std::memset(reader.memory.data(), 0, kBytes);
  ReadBatch other = BatchOf(2);
  for (CopyOp& op : other.ops) op.local_offset += 1 << 20;
  ASSERT_EQ(path->Post(std::move(other)), WireResult::kOk);
  EXPECT_TRUE(Wait(2).ok());
  for (size_t i = 0; i < size_t{1} << 20; ++i) ASSERT_EQ(reader.memory[i], std::byte{0});
}

TEST_P(UcxPathTest, WhatIsNotTheirsIsRefused) {
  ReadBatch batch = BatchOf(1);
  batch.grant = "bad";
  batch.ops[1].remote_offset = kBytes - 1;
  ASSERT_EQ(path->Post(std::move(batch)), WireResult::kOk);
  EXPECT_TRUE(absl::IsFailedPrecondition(Wait(1))) << done[1];
}

TEST_P(UcxPathTest, AReaderThatGoesWhileItIsAnsweredCostsTheOthersNothing) {
  const SteadyClock clock;
  for (uint64_t life = 0; life < 3; ++life) {
    for (uint64_t tag = 1; tag <= 10; ++tag)
      ASSERT_EQ(path->Post(BatchOf(100 * life + tag)), WireResult::kOk);
    EXPECT_TRUE(Wait(100 * life + 1).ok());
    path.reset();
    reader.node.reset();
    for (int i = 0; i < 20; ++i) owner.node->Progress(clock.Now(), &owner.handler);
    reader.node = *UcxNode::Start({.one_sided = GetParam() == UcxWay::kGets, .devices = "lo"},
                                  &reader.regions, &reader.watch);
    ASSERT_TRUE(reader.node->Register(absl::MakeSpan(reader.memory)).ok());
    path = *reader.node->Connect(key, GetParam());
  }
  ASSERT_EQ(path->Post(BatchOf(999)), WireResult::kOk);
  EXPECT_TRUE(Wait(999).ok()) << done[999];
}

TEST_P(UcxPathTest, KeysOfNoPossibleLengthAreRefused) {
  for (const std::string& worker : {std::string(), std::string(4096, 'w')}) {
    WireKey bad = key;
    bad.ucx->worker = worker;
    EXPECT_FALSE(reader.node->Connect(bad, GetParam()).ok());
  }
}

// Sockets of this process that listen elsewhere than on the loopback interface.
int ListensOutside() {
  int outside = 0;
  for (int fd = 0; fd < 1024; ++fd) {
    int listens = 0;
    socklen_t size = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) continue;
    TcpAddress address;
    address.size = sizeof address.storage;
    getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size);
    const bool inet = address.storage.ss_family == AF_INET || address.storage.ss_family == AF_INET6;
    outside += inet && address.host() != "127.0.0.1" && address.host() != "::1";
  }
  return outside;
}

TEST_P(UcxPathTest, ListensOnlyWhereItIsToldTo) {
  EXPECT_EQ(ListensOutside(), 0);
}

TEST(UcxOptionsTest, GetsOnlyOverRdmaAndTheInterfaceOfTheEndpoint) {
  const UcxOptions loopback = UcxOptionsFor("tcp://127.0.0.1:0", false);
  EXPECT_FALSE(loopback.one_sided);
  EXPECT_EQ(loopback.transports, "tcp");
  EXPECT_EQ(loopback.devices, "lo");
  EXPECT_EQ(UcxOptionsFor("tcp://*:0", false).devices, "all");
  EXPECT_EQ(UcxOptionsFor("tcp://lo:0", false).devices, "lo");
  const UcxOptions rdma = UcxOptionsFor("tcp://127.0.0.1:0", true);
  EXPECT_TRUE(rdma.one_sided);
  EXPECT_EQ(rdma.transports, "ib");
}

TEST_P(UcxPathTest, RdmaIsNotClaimedWhereThereIsNone) {
  EXPECT_FALSE(reader.node->Connect(key, UcxWay::kRdma).ok());
}

INSTANTIATE_TEST_SUITE_P(Ways, UcxPathTest, ::testing::Values(UcxWay::kBest, UcxWay::kGets));

}  // namespace
}  // namespace baton
