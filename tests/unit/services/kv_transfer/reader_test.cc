// What a reader does when all goes well, and its timers.

#include "services/kv_transfer/handoff/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/services/kv_transfer/reader_fixture.h"

namespace baton {
namespace {

using testing::Id;
using testing::kSmallLayout;
using ::testing::SizeIs;

class ReaderTest : public testing::ReaderFixture {
 protected:
  size_t TotalOps() const {
    size_t total = 0;
    for (const PostPull& post : All<PostPull>()) {
      for (const CopyOp& op : post.ops) total += op.length;
    }
    return total;
  }
  uint64_t LastAck() const {
    uint64_t last = 0;
    for (const WireSend& send : All<WireSend>()) {
      if (send.message.has_offer_ack()) last = send.message.offer_ack().number();
    }
    return last;
  }
  static int Count(const std::vector<PostPull>& posts, const HandoffId& id) {
    int count = 0;
    for (const PostPull& post : posts) count += FromProto(post.pull.key()) == id;
    return count;
  }
};

TEST_F(ReaderTest, HeldAfterEveryChecksumSealAndVerdict) {
  Offered(1);
  ASSERT_THAT(All<PostPull>(), SizeIs(1));
  EXPECT_EQ(TotalOps(), RectBytes(kSmallLayout, {0, 40, 0, 3}));
  ServeReads();
  EXPECT_EQ(Sent(v1::Handoff::kConfirm), 0u) << "not sealed yet";
  Say(SealOf(1, 1));
  EXPECT_EQ(Sent(v1::Handoff::kConfirm), 1u);
  EXPECT_THAT(All<PullHeld>(), SizeIs(0)) << "not without the verdict";
  Say(VerdictOf(1, true));
  ASSERT_THAT(All<PullHeld>(), SizeIs(1));
  EXPECT_EQ(All<PullHeld>()[0].first_token, 42);
  EXPECT_EQ(reader->pulls(), 0u);
  EXPECT_FALSE(reader->Uses(testing::kOwnerPeer));
}

TEST_F(ReaderTest, ConfirmsOnlyWhenTheLastChecksumIsVerified) {
  Begin(1);
  Say(OpenedOf(1));
  Say(OfferOf(1, 1, {0, 16, 0, 3}));
  Say(OfferOf(1, 2, {16, 40, 0, 3}));
  Say(SealOf(1, 2));
  const auto posts = All<PostPull>();
  ASSERT_THAT(posts, SizeIs(2));
  reader->OnReadDone(posts[1].tag, absl::OkStatus(), now, &out);
  reader->OnVerified(All<VerifyUnits>()[0].tag, true, now, &out);
  EXPECT_EQ(Sent(v1::Handoff::kConfirm), 0u);
  reader->OnReadDone(posts[0].tag, absl::OkStatus(), now, &out);
  EXPECT_EQ(Sent(v1::Handoff::kConfirm), 0u);
  reader->OnVerified(All<VerifyUnits>()[1].tag, true, now, &out);
  EXPECT_EQ(Sent(v1::Handoff::kConfirm), 1u);
}

TEST_F(ReaderTest, AVerdictBeforeTheConfirmCountsForNothing) {
  Offered(1);
  Say(VerdictOf(1, true));
  EXPECT_THAT(All<PullHeld>(), SizeIs(0));
}

TEST_F(ReaderTest, OpensAgainSoonAfterRetry) {
  Begin(1);
  v1::Handoff retry = New(1);
  retry.mutable_refused()->set_retry(true);
  std::vector<int64_t> waits;
  for (int i = 0; i < 7; ++i) {
    Say(retry);
    waits.push_back(absl::ToInt64Milliseconds(reader->NextDeadline() - now));
    Advance(reader->NextDeadline() - now);
  }
  EXPECT_THAT(waits, ::testing::ElementsAre(1, 2, 4, 8, 16, 20, 20));
  EXPECT_EQ(Sent(v1::Handoff::kOpen), 8u);
}

TEST_F(ReaderTest, RepeatsUnansweredRequestsWithBackoff) {
  Begin(1);
  Advance(absl::Milliseconds(50 + 100 + 200 + 1));
  EXPECT_EQ(Sent(v1::Handoff::kOpen), 4u);
  v1::Handoff opened = OpenedOf(1);
  opened.mutable_opened()->set_serial(4);
  Say(opened);
  Say(OfferOf(1, 1, {0, 40, 0, 3}));
  Say(SealOf(1, 1));
  ServeReads();
  Advance(absl::Milliseconds(50 + 100 + 1));
  EXPECT_EQ(Sent(v1::Handoff::kConfirm), 3u);
}

TEST_F(ReaderTest, LeaseCountsFromWhenTheRequestWasSent) {
  Begin(1);
  now += absl::Seconds(2);
  Say(OpenedOf(1));
  EXPECT_EQ(reader->Find(Id(1))->lease_until() - now, absl::Seconds(3));
  reader->OnTick(now, &out);
  ASSERT_EQ(Sent(v1::Handoff::kRenew), 1u);
  now += absl::Seconds(1);
  v1::Handoff renewed = New(1);
  renewed.mutable_renewed()->set_lease(5);
  renewed.mutable_renewed()->set_lease_ms(5000);
  renewed.mutable_renewed()->set_serial(1);
  Say(renewed);
  EXPECT_EQ(reader->Find(Id(1))->lease_until() - now, absl::Seconds(4));
  renewed.mutable_renewed()->set_serial(99);  // never sent
  renewed.mutable_renewed()->set_lease_ms(500000);
  Say(renewed);
  EXPECT_EQ(reader->Find(Id(1))->lease_until() - now, absl::Seconds(4));
}

TEST_F(ReaderTest, WithoutRenewalTheLeaseRunsOutHere) {
  Offered(1);
  ServeReads();
  Advance(absl::Seconds(5));
  ASSERT_THAT(All<PullLost>(), SizeIs(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(All<PullLost>()[0].status));
  EXPECT_EQ(Sent(v1::Handoff::kRenew), 3u);
  EXPECT_EQ(Sent(v1::Handoff::kRelease), 1u);
}

TEST_F(ReaderTest, NothingRenewsPastTheHardDeadline) {
  Begin(1);
  v1::Handoff opened = OpenedOf(1);
  opened.mutable_opened()->set_hard_ms(1000);
  Say(opened);
  Advance(absl::Milliseconds(1001));
  EXPECT_THAT(All<PullLost>(), SizeIs(1));
}

TEST_F(ReaderTest, AcknowledgesAndReadsRepeatedOffersOnce) {
  Begin(1);
  Say(OpenedOf(1));
  Say(OfferOf(1, 2, {16, 40, 0, 3}));
  Say(OfferOf(1, 2, {16, 40, 0, 3}));
  EXPECT_THAT(All<PostPull>(), SizeIs(1)) << "out of order is no reason to wait";
  EXPECT_EQ(LastAck(), 0u);
  Say(OfferOf(1, 1, {0, 16, 0, 3}));
  EXPECT_EQ(LastAck(), 2u);
  EXPECT_THAT(All<PostPull>(), SizeIs(2));
}

TEST_F(ReaderTest, BoundsBytesInFlightAcrossPulls) {
  ReaderOptions options = Options();
  options.max_read_bytes = kSmallLayout.AtomBytes();
  options.max_bytes_in_flight = 4 * kSmallLayout.AtomBytes();  // of one owner: half of it
  reader.emplace(options);
  Offered(1);
  Offered(2);
  EXPECT_THAT(All<PostPull>(), SizeIs(2));
  EXPECT_EQ(reader->bytes_in_flight(), 2 * kSmallLayout.AtomBytes());
  for (int i = 0; i < 4; ++i) {
    const auto posts = All<PostPull>();
    reader->OnReadDone(posts[i].tag, absl::OkStatus(), now, &out);
    EXPECT_LE(reader->bytes_in_flight(), options.max_bytes_in_flight / 2);
  }
  const auto posts = All<PostPull>();
  ASSERT_THAT(posts, SizeIs(6));
  const auto first = Count(posts, Id(1));
  EXPECT_EQ(first, 3) << "both were served in turn";
  ServeReads();
  EXPECT_EQ(reader->bytes_in_flight(), 0u);
}

TEST_F(ReaderTest, AnOwnerThatDoesNotAnswerLeavesRoomForOthers) {
  ReaderOptions options = Options();
  options.max_read_bytes = kSmallLayout.AtomBytes();
  options.max_bytes_in_flight = 4 * kSmallLayout.AtomBytes();
  reader.emplace(options);
  Offered(1);
  Offered(2);  // its reads, too, are never answered
  EXPECT_EQ(reader->bytes_in_flight(), 2 * kSmallLayout.AtomBytes());
  const PeerId alive = testing::kOwnerPeer + 1;
  reader->OnBegin(PullOf(3), alive, now, &out);
  for (const v1::Handoff& said : {OpenedOf(3), OfferOf(3, 1, {0, 40, 0, 3}), SealOf(3, 1)})
    reader->OnMessage(alive, said, now, &out);
  for (size_t i = 0; i < out.size(); ++i) {
    const ReaderAction action = out[i];
    if (const auto* post = std::get_if<PostPull>(&action); post != nullptr && post->peer == alive)
      reader->OnReadDone(post->tag, absl::OkStatus(), now, &out);
    if (const auto* verify = std::get_if<VerifyUnits>(&action))
      reader->OnVerified(verify->tag, true, now, &out);
  }
  EXPECT_EQ(reader->Find(Id(3))->state(), ReaderState::kConfirming);
}

TEST_F(ReaderTest, ABusyWireIsTriedAgain) {
  Offered(1);
  const uint64_t tag = All<PostPull>()[0].tag;
  served.insert(tag);
  reader->OnReadDone(tag, absl::ResourceExhaustedError("busy"), now, &out);
  EXPECT_THAT(All<PostPull>(), SizeIs(1));
  Advance(absl::Milliseconds(1));
  ASSERT_THAT(All<PostPull>(), SizeIs(2));
  EXPECT_NE(All<PostPull>()[1].tag, tag);
  ServeReads();
  Say(SealOf(1, 1));
  Say(VerdictOf(1, true));
  EXPECT_THAT(All<PullHeld>(), SizeIs(1));
}

TEST_F(ReaderTest, RefusesWhatCannotBe) {
  const auto refused = [&](auto change) {
    PullBegin pull = PullOf(1);
    change(pull);
    out.clear();
    reader->OnBegin(pull, testing::kOwnerPeer, now, &out);
    return All<PullLost>().size() == 1 && All<PullLost>()[0].fenced && reader->pulls() == 0;
  };
  EXPECT_TRUE(refused([](PullBegin& p) { p.rank = 1; }));
  EXPECT_TRUE(refused([](PullBegin& p) { p.pages = {1}; }));
  EXPECT_TRUE(refused([](PullBegin& p) { p.pages = {1, 64}; }));
  EXPECT_TRUE(refused([](PullBegin& p) { p.begin = 40; }));
  EXPECT_TRUE(refused([](PullBegin& p) { p.begin = 8; }));
  EXPECT_TRUE(refused([this](PullBegin& p) { p.deadline = now; }));
}

TEST_F(ReaderTest, TheNumberOfPullsIsBounded) {
  ReaderOptions options = Options();
  options.max_pulls = 2;
  reader.emplace(options);
  for (uint64_t n = 1; n <= 3; ++n) Begin(n);
  ASSERT_THAT(All<PullLost>(), SizeIs(1));
  EXPECT_TRUE(absl::IsResourceExhausted(All<PullLost>()[0].status));
  Begin(1);
  EXPECT_EQ(reader->counters().ignored_commands, 1u);
}

}  // namespace
}  // namespace baton
