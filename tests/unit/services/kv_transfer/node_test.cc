// Two nodes over real ZeroMQ sockets on loopback TCP.

#include "services/kv_transfer/handoff/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zmq.h>

#include "services/kv_transfer/transport/zmq_wire.h"
#include "tests/unit/services/kv_transfer/event_log.h"
#include "tests/unit/services/kv_transfer/test_kv.h"

namespace baton {
namespace {

using testing::EventLog;
using testing::Id;
using testing::kDigest;
using testing::kOwnerEpoch;
using testing::kReaderEpoch;
using testing::OfferOf;
using ::testing::SizeIs;
using testing::SomePages;
using testing::TestMemory;

// The default model's: 22.5 KiB a token.
constexpr KvLayout kModel{
    .layers = 30, .kv_heads = 3, .head_dim = 64, .dtype = KvDtype::kF16, .atoms_per_page = 1};

struct Party {
  TestMemory memory{kModel, 128};
  EventLog log;
  std::unique_ptr<HandoffNode> node;
};

class NodeTest : public ::testing::Test {
 protected:
  void Start(Party& party, const Epoch& epoch, ZmqOptions zmq = {}, HandoffOptions options = {}) {
    auto wire = NewZmqTransport(zmq);
    ASSERT_TRUE(wire.ok()) << wire.status();
    auto node = HandoffNode::Start(options, epoch, &party.memory, *std::move(wire), &clock, &party.log);
    ASSERT_TRUE(node.ok()) << node.status();
    party.node = *std::move(node);
  }
  void StartBoth() {
    Start(owner, kOwnerEpoch);
    Start(reader, kReaderEpoch);
    owner.memory.Randomize(rng);
  }
  PullBegin PullOf(uint64_t n, int64_t tokens, const std::vector<PageId>& pages,
                   const std::string& key = "") {
    return {Id(n),   {owner.node->endpoint(), key, kOwnerEpoch, 0},
            0,       0,
            tokens,  pages,
            kDigest, clock.Now() + absl::Seconds(15)};
  }
  OwnBegin BeginOf(uint64_t n, int64_t tokens) {
    return {Id(n), 0, kReaderEpoch, 0, tokens, clock.Now() + absl::Seconds(15)};
  }

  SteadyClock clock;
  std::mt19937_64 rng{42};
  Party owner, reader;
};

TEST_F(NodeTest, MovesPagesChunkByChunkWithTheReaderFirst) {
  StartBoth();
  const int64_t tokens = 1003;
  const auto from = SomePages(rng, 128, kModel.PagesFor(tokens)),
             to = SomePages(rng, 128, kModel.PagesFor(tokens));
  ASSERT_TRUE(reader.node->Submit(PullOf(1, tokens, to)).ok());
  ASSERT_TRUE(owner.node->Submit(BeginOf(1, tokens)).ok());
  for (int64_t begin = 0; begin < tokens; begin += 256) {
    for (int layer = 0; layer < kModel.layers; layer += 10) {
      const UnitRect rect{begin, std::min(tokens, begin + 256), layer, layer + 10};
      ASSERT_TRUE(owner.node->Submit(OfferOf(owner.memory, Id(1), 0, rect, from)).ok());
    }
  }
  ASSERT_TRUE(owner.node->Submit(OwnSeal{Id(1), kDigest, 99, {{99, -1.5f}, {7, -0.25f}}}).ok());
  ASSERT_TRUE(reader.log.WaitFor<PullHeld>(1));
  ASSERT_TRUE(owner.log.WaitFor<OwnEnded>(1));
  const PullHeld held = reader.log.Of<PullHeld>()[0];
  EXPECT_EQ(held.first_token, 99);
  ASSERT_EQ(held.scores.size(), 2u);
  EXPECT_EQ(held.scores[0].token, 99);
  EXPECT_EQ(held.scores[0].logprob, -1.5f);
  EXPECT_EQ(held.scores[1].token, 7);
  EXPECT_TRUE(owner.log.Of<OwnEnded>()[0].held);
  const UnitRect all{0, tokens, 0, kModel.layers};
  EXPECT_TRUE(testing::SameBytes(owner.memory, 0, from, reader.memory, 0, to, all));
  EXPECT_EQ(reader.node->endpoint().substr(0, 16), "tcp://127.0.0.1:");
}

TEST_F(NodeTest, ManyAtOnceInBothDirectionsOfTime) {
  StartBoth();
  constexpr uint64_t kCount = 40;
  const int64_t tokens = 45;  // 3 pages each
  std::vector<std::vector<PageId>> from, to;
  for (uint64_t n = 0; n < kCount; ++n) {
    from.push_back(
        {static_cast<PageId>(3 * n), static_cast<PageId>(3 * n + 1), static_cast<PageId>(3 * n + 2)});
    to.push_back(
        {static_cast<PageId>(3 * n + 2), static_cast<PageId>(3 * n), static_cast<PageId>(3 * n + 1)});
    const auto pull = PullOf(n, tokens, to[n]);
    if (n % 2 == 0) {
      ASSERT_TRUE(reader.node->Submit(pull).ok());
    }
    ASSERT_TRUE(owner.node->Submit(BeginOf(n, tokens)).ok());
    ASSERT_TRUE(
        owner.node->Submit(OfferOf(owner.memory, Id(n), 0, {0, tokens, 0, kModel.layers}, from[n])).ok());
    ASSERT_TRUE(owner.node->Submit(OwnSeal{Id(n), kDigest, 1}).ok());
    if (n % 2 == 1) {
      ASSERT_TRUE(reader.node->Submit(pull).ok());
    }
  }
  ASSERT_TRUE(reader.log.WaitFor<PullHeld>(kCount));
  ASSERT_TRUE(owner.log.WaitFor<OwnEnded>(kCount));
  for (uint64_t n = 0; n < kCount; ++n) {
    EXPECT_TRUE(
        testing::SameBytes(owner.memory, 0, from[n], reader.memory, 0, to[n], {0, tokens, 0, kModel.layers}));
  }
  EXPECT_EQ(reader.node->stats().checksum_failures, 0u);
}

TEST_F(NodeTest, CurveOnBothSides) {
  char public_key[41], secret_key[41];
  ASSERT_EQ(zmq_curve_keypair(public_key, secret_key), 0);
  ZmqOptions zmq;
  zmq.curve_public_key = public_key;
  zmq.curve_secret_key = secret_key;
  Start(owner, kOwnerEpoch, zmq);
  ASSERT_EQ(zmq_curve_keypair(public_key, secret_key), 0);
  const std::string owner_key = zmq.curve_public_key;
  zmq.curve_public_key = public_key;
  zmq.curve_secret_key = secret_key;
  Start(reader, kReaderEpoch, zmq);
  owner.memory.Randomize(rng);
  ASSERT_TRUE(reader.node->Submit(PullOf(1, 16, {7}, owner_key)).ok());
  ASSERT_TRUE(owner.node->Submit(BeginOf(1, 16)).ok());
  ASSERT_TRUE(owner.node->Submit(OfferOf(owner.memory, Id(1), 0, {0, 16, 0, kModel.layers}, {3})).ok());
  ASSERT_TRUE(owner.node->Submit(OwnSeal{Id(1), kDigest, 1}).ok());
  EXPECT_TRUE(reader.log.WaitFor<PullHeld>(1));
  ASSERT_TRUE(reader.node->Submit(PullOf(2, 16, {8}, "")).ok());
  ASSERT_TRUE(reader.log.WaitFor<PullLost>(1)) << "a peer without a key where keys are configured";
}

TEST_F(NodeTest, AStoppedOwnerEndsItsReaders) {
  HandoffOptions options;
  options.lease = absl::Milliseconds(300);  // in case the Revoke is lost with the connection
  Start(owner, kOwnerEpoch, {}, options);
  Start(reader, kReaderEpoch);
  ASSERT_TRUE(owner.node->Submit(BeginOf(1, 32)).ok());
  ASSERT_TRUE(owner.node->Submit(OfferOf(owner.memory, Id(1), 0, {0, 16, 0, kModel.layers}, {3, 4})).ok());
  ASSERT_TRUE(reader.node->Submit(PullOf(1, 32, {7, 8})).ok());
  ASSERT_TRUE(owner.node->Submit(BeginOf(2, 16)).ok());
  ASSERT_TRUE(owner.node->Submit(OfferOf(owner.memory, Id(2), 0, {0, 16, 0, kModel.layers}, {5})).ok());
  ASSERT_TRUE(owner.node->Submit(OwnSeal{Id(2), kDigest, 1}).ok());
  ASSERT_TRUE(reader.node->Submit(PullOf(2, 16, {9})).ok());
  ASSERT_TRUE(reader.log.WaitFor<PullHeld>(1));  // and so the first one is open
  owner.node.reset();
  ASSERT_TRUE(reader.log.WaitFor<PullLost>(1));
  EXPECT_TRUE(reader.log.Of<PullLost>()[0].fenced);
  EXPECT_THAT(owner.log.Of<OwnEnded>(), SizeIs(2));
}

TEST_F(NodeTest, AnOwnerThatWasNeverThereIsLostAtTheDeadline) {
  StartBoth();
  PullBegin pull = PullOf(1, 16, {7});
  pull.owner.endpoint = "tcp://127.0.0.1:1";
  pull.deadline = clock.Now() + absl::Milliseconds(100);
  ASSERT_TRUE(reader.node->Submit(pull).ok());
  ASSERT_TRUE(reader.log.WaitFor<PullLost>(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(reader.log.Of<PullLost>()[0].status));
}

TEST_F(NodeTest, StoppingGivesUpWhatIsUnderWay) {
  StartBoth();
  ASSERT_TRUE(reader.node->Submit(PullOf(1, 16, {7})).ok());
  ASSERT_TRUE(owner.node->Submit(BeginOf(2, 16)).ok());
  reader.node.reset();
  owner.node.reset();
  EXPECT_THAT(reader.log.Of<PullLost>(), SizeIs(1));
  EXPECT_THAT(owner.log.Of<OwnEnded>(), SizeIs(1));
}

TEST_F(NodeTest, PagesMustBeConsecutive) {
  class Scattered final : public KvMemory {
   public:
    const KvLayout& layout() const override { return kModel; }
    uint32_t ranks() const override { return 1; }
    int64_t pages(uint32_t) const override { return 2; }
    absl::Span<std::byte> Page(uint32_t, PageId page) override { return absl::MakeSpan(pages_[page]); }

   private:
    std::vector<std::byte> pages_[2] = {std::vector<std::byte>(kModel.PageBytes()),
                                        std::vector<std::byte>(kModel.PageBytes())};
  } memory;
  auto wire = NewZmqTransport({});
  ASSERT_TRUE(wire.ok());
  EventLog log;
  EXPECT_FALSE(HandoffNode::Start({}, kOwnerEpoch, &memory, *std::move(wire), &clock, &log).ok());
}

}  // namespace
}  // namespace baton
