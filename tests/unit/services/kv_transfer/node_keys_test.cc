// Nodes over ZeroMQ with keys: handoffs go on while keys change, and end when they are taken away.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/kv_transfer/handoff/node.h"
#include "services/kv_transfer/transport/zmq_wire.h"
#include "tests/unit/services/kv_transfer/event_log.h"
#include "tests/unit/services/kv_transfer/key_folder.h"
#include "tests/unit/services/kv_transfer/test_kv.h"

namespace baton {
namespace {

using testing::EventLog;
using testing::Id;
using testing::kDigest;
using testing::KeyFolder;
using testing::kOwnerEpoch;
using testing::kReaderEpoch;
using testing::kSmallLayout;
using testing::OfferOf;
using testing::TestMemory;

constexpr int64_t kTokens = 40;

struct Party {
  TestMemory memory{kSmallLayout, 16};
  EventLog log;
  std::unique_ptr<HandoffNode> node;
};

class NodeKeysTest : public ::testing::Test {
 protected:
  NodeKeysTest() : owner_key(keys.New("owner")), reader_key(keys.New("reader")) {
    keys.List({owner_key, reader_key});
    Start(owner, kOwnerEpoch, "owner");
    Start(reader, kReaderEpoch, "reader");
    owner.memory.Randomize(rng);
  }
  void Start(Party& party, const Epoch& epoch, const std::string& who) {
    auto wire = NewZmqTransport(keys.Options(who));
    ASSERT_TRUE(wire.ok()) << wire.status();
    party.node =
        *HandoffNode::Start({.name = who}, epoch, &party.memory, *std::move(wire), &clock, &party.log);
  }
  void Begin(uint64_t n) {
    const MonoTime deadline = clock.Now() + absl::Seconds(30);
    EXPECT_TRUE(reader.node
                    ->Submit(PullBegin{Id(n),
                                       {owner.node->endpoint(), owner.node->public_key(), kOwnerEpoch, 0},
                                       0,
                                       0,
                                       kTokens,
                                       To(n),
                                       kDigest,
                                       deadline})
                    .ok());
    EXPECT_TRUE(owner.node->Submit(OwnBegin{Id(n), 0, kReaderEpoch, 0, kTokens, deadline}).ok());
  }
  void Finish(uint64_t n) {
    EXPECT_TRUE(
        owner.node->Submit(OfferOf(owner.memory, Id(n), 0, {0, kTokens, 0, kSmallLayout.layers}, {1, 2}))
            .ok());
    EXPECT_TRUE(owner.node->Submit(OwnSeal{Id(n), kDigest, 7}).ok());
  }
  static std::vector<PageId> To(uint64_t n) {
    const auto first = static_cast<PageId>(n % 8 * 2);
    return {first, first + 1};
  }
  // One handoff after the other, each begun, and finished when the next is.
  uint64_t HandOffFor(absl::Duration time, uint64_t first) {
    const MonoTime until = clock.Now() + time;
    uint64_t n = first;
    for (; clock.Now() < until; ++n) {
      Begin(n);
      Finish(n);
      EXPECT_TRUE(reader.log.WaitFor<PullHeld>(n)) << n;
    }
    return n - first;
  }

  SteadyClock clock;
  std::mt19937_64 rng{42};
  KeyFolder keys;
  AllowedKey owner_key, reader_key;
  Party owner, reader;
};

TEST_F(NodeKeysTest, RotationOfBothUnderLoadLosesNothing) {
  const IdentityKey fresh_owner = IdentityKey::Generate(), fresh_reader = IdentityKey::Generate();
  const AllowedKey owner_after = *ParseAllowedKey(KeyText(fresh_owner.public_key()), "owner");
  const AllowedKey reader_after = *ParseAllowedKey(KeyText(fresh_reader.public_key()), "reader");
  uint64_t done = HandOffFor(absl::Milliseconds(200), 1);
  keys.List({owner_key, reader_key, owner_after, reader_after});
  done += HandOffFor(absl::Milliseconds(2500), done + 1);
  keys.Use(fresh_owner, "owner");
  keys.Use(fresh_reader, "reader");
  done += HandOffFor(absl::Milliseconds(2500), done + 1);
  keys.List({owner_after, reader_after});
  done += HandOffFor(absl::Milliseconds(2500), done + 1);
  EXPECT_GT(done, 50u);
  const HandoffNode::Stats stats = reader.node->stats();
  EXPECT_EQ(stats.pulled_lost, 0u);
  EXPECT_EQ(stats.owners_gone, 0u);
  std::cout << done << " handoffs held, none lost\n";
}

TEST_F(NodeKeysTest, AKeyThatIsTakenAwayEndsItsLeases) {
  Begin(1);
  Finish(1);
  ASSERT_TRUE(reader.log.WaitFor<PullHeld>(1));
  Begin(2);
  keys.List({owner_key});
  const MonoTime removed = clock.Now();
  ASSERT_TRUE(reader.log.WaitFor<PullLost>(1));
  ASSERT_TRUE(owner.log.WaitFor<OwnEnded>(2));
  EXPECT_LT(clock.Now() - removed, absl::Seconds(4));
}

TEST_F(NodeKeysTest, AReadersNewLifeEndsOnlyItsOwnLeases) {
  Begin(1);
  const AllowedKey thief_key = keys.New("thief");
  keys.List({owner_key, reader_key, thief_key});
  // Says that it is "reader", with another key and another epoch.
  Party thief;
  auto wire = NewZmqTransport(keys.Options("thief"));
  ASSERT_TRUE(wire.ok());
  const Epoch thiefs{7, 7};
  thief.node =
      *HandoffNode::Start({.name = "reader"}, thiefs, &thief.memory, *std::move(wire), &clock, &thief.log);
  const MonoTime deadline = clock.Now() + absl::Seconds(30);
  const KvPeer to{owner.node->endpoint(), owner.node->public_key(), kOwnerEpoch, 0};
  EXPECT_TRUE(thief.node->Submit(PullBegin{Id(9), to, 0, 0, kTokens, {1, 2}, kDigest, deadline}).ok());
  EXPECT_TRUE(owner.node->Submit(OwnBegin{Id(9), 0, thiefs, 0, kTokens, deadline}).ok());
  Finish(9);
  ASSERT_TRUE(thief.log.WaitFor<PullHeld>(1));
  Finish(1);
  EXPECT_TRUE(reader.log.WaitFor<PullHeld>(1)) << "a name counts only with its key";
}

}  // namespace
}  // namespace baton
