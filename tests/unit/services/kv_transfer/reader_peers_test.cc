// HandoffReader when a connection breaks, comes back or does not.

#include <gmock/gmock.h>

#include "tests/unit/services/kv_transfer/reader_fixture.h"

namespace baton {
namespace {

using testing::Id;
using testing::kOwnerPeer;
using ReaderPeersTest = testing::ReaderFixture;
using ::testing::HasSubstr;

TEST_F(ReaderPeersTest, ABackConnectionIsAskedAtOnce) {
  Begin(1);
  Begin(2);
  Say(OpenedOf(2));
  out.clear();
  reader->OnPeerBack(kOwnerPeer, now, &out);
  EXPECT_EQ(Sent(v1::Handoff::kOpen), 1u) << "the Open may be lost";
  EXPECT_EQ(Sent(v1::Handoff::kRenew), 1u) << "so that the owner knows where to send offers";
  out.clear();
  reader->OnPeerBack(kOwnerPeer + 1, now, &out);
  EXPECT_TRUE(out.empty());
}

TEST_F(ReaderPeersTest, AConfirmIsRepeatedWhenTheConnectionIsBack) {
  Offered(1);
  Say(SealOf(1, 1));
  ServeReads();
  ASSERT_EQ(Sent(v1::Handoff::kConfirm), 1u);
  reader->OnPeerBack(kOwnerPeer, now, &out);
  EXPECT_EQ(Sent(v1::Handoff::kConfirm), 2u);
  Say(VerdictOf(1, true));
  EXPECT_EQ(All<PullHeld>().size(), 1u);
}

TEST_F(ReaderPeersTest, PullsOfAGoneOwnerAreLostAtOnceAndOthersAreNot) {
  Begin(1);
  reader->OnBegin(PullOf(2), kOwnerPeer + 1, now, &out);
  reader->OnPeerGone(kOwnerPeer, "its connection broke", now, &out);
  const auto lost = All<PullLost>();
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].id, Id(1));
  EXPECT_TRUE(lost[0].fenced);
  EXPECT_TRUE(absl::IsUnavailable(lost[0].status));
  EXPECT_THAT(std::string(lost[0].status.message()), HasSubstr("its connection broke"));
  EXPECT_EQ(reader->pulls(), 1u);
  EXPECT_EQ(reader->counters().owners_gone, 1u);
  reader->OnPeerGone(kOwnerPeer, "again", now, &out);
  EXPECT_EQ(reader->counters().owners_gone, 1u) << "nothing went over it";
}

TEST_F(ReaderPeersTest, ReadsUnderWayOfAGoneOwnerAreFencedFirst) {
  Offered(1);
  ASSERT_FALSE(All<PostPull>().empty());
  reader->OnPeerGone(kOwnerPeer, "killed", now, &out);
  ASSERT_EQ(All<PullLost>().size(), 1u);
  EXPECT_FALSE(All<PullLost>()[0].fenced);
  EXPECT_TRUE(All<PullFenced>().empty());
  ServeReads(true, absl::CancelledError("disconnected"));
  EXPECT_EQ(All<PullFenced>().size(), 1u);
  EXPECT_EQ(reader->pulls(), 0u);
}

TEST_F(ReaderPeersTest, ReadsThatABreakEndedArePostedAgain) {
  Offered(1);
  const size_t posted = All<PostPull>().size();
  ServeReads(true, absl::UnavailableError("the connection broke"));
  Advance(absl::Milliseconds(10));
  EXPECT_GT(All<PostPull>().size(), posted);
  EXPECT_TRUE(All<PullLost>().empty());
}

}  // namespace
}  // namespace baton
