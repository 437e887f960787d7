// What ends a pull, and that its pages are given back only once no read can write into them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/services/kv_transfer/reader_fixture.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using testing::Id;
using testing::kOwnerPeer;
using testing::kSmallLayout;
using ::testing::SizeIs;

class ReaderFaultsTest : public testing::ReaderFixture {
 protected:
  PullLost TheLoss() const {
    const auto lost = All<PullLost>();
    EXPECT_THAT(lost, SizeIs(1));
    return lost.empty() ? PullLost{} : lost[0];
  }
};

TEST_F(ReaderFaultsTest, AChecksumThatDoesNotMatchIsLost) {
  Offered(1);
  Say(SealOf(1, 1));
  ServeReads(false);
  EXPECT_TRUE(absl::IsDataLoss(TheLoss().status));
  EXPECT_TRUE(TheLoss().fenced);
  EXPECT_EQ(Sent(v1::Handoff::kConfirm), 0u);
  EXPECT_EQ(reader->counters().checksum_failures, 1u);
}

TEST_F(ReaderFaultsTest, LostWithReadsUnderWayIsFencedLater) {
  Offered(1);
  const uint64_t tag = All<PostPull>()[0].tag;
  reader->OnCancel({Id(1)}, now, &out);
  EXPECT_FALSE(TheLoss().fenced);
  ASSERT_THAT(All<AbortPull>(), SizeIs(1));
  EXPECT_EQ(All<AbortPull>()[0].tag, tag);
  EXPECT_EQ(reader->Find(Id(1))->state(), ReaderState::kFencing);
  EXPECT_THAT(All<PullFenced>(), SizeIs(0));
  reader->OnReadDone(tag, absl::OkStatus(), now, &out);  // it landed after all
  EXPECT_THAT(All<PullFenced>(), SizeIs(1));
  EXPECT_THAT(All<VerifyUnits>(), SizeIs(0));
  reader->OnReadDone(tag, absl::OkStatus(), now, &out);
  EXPECT_THAT(All<PullFenced>(), SizeIs(1));
  EXPECT_EQ(reader->pulls(), 0u);
}

TEST_F(ReaderFaultsTest, ReadsThatCannotBeRecalledCloseTheConnectionThenRestartTheRank) {
  Offered(1);
  reader->OnCancel({Id(1)}, now, &out);
  Advance(absl::Milliseconds(2500));
  ASSERT_THAT(All<ClosePeer>(), SizeIs(1));
  EXPECT_EQ(All<ClosePeer>()[0].peer, testing::kOwnerPeer);
  EXPECT_THAT(All<FenceOverdue>(), SizeIs(0));
  Advance(absl::Milliseconds(2500));
  EXPECT_THAT(All<FenceOverdue>(), SizeIs(1));
  Advance(absl::Seconds(60));
  EXPECT_THAT(All<FenceOverdue>(), SizeIs(1));
  EXPECT_EQ(reader->pulls(), 1u) << "its pages are never freed";
}

TEST_F(ReaderFaultsTest, RevokedMidPull) {
  Offered(1);
  v1::Handoff other_lease = RevokeOf(1);
  other_lease.mutable_revoke()->set_lease(6);
  Say(other_lease);
  EXPECT_THAT(All<PullLost>(), SizeIs(0));
  Say(RevokeOf(1));
  EXPECT_TRUE(absl::IsAborted(TheLoss().status));
  EXPECT_FALSE(TheLoss().fenced);
}

TEST_F(ReaderFaultsTest, WhileConfirmingOnlyTheVerdictCounts) {
  Offered(1);
  Say(SealOf(1, 1));
  ServeReads();
  Say(RevokeOf(1));
  EXPECT_THAT(All<PullLost>(), SizeIs(0));
  for (int i = 0; i < 4; ++i) {  // past the lease: the verdict is remembered
    Advance(absl::Seconds(3));
    Say(RevokeOf(1));
  }
  EXPECT_THAT(All<PullLost>(), SizeIs(0));
  Say(VerdictOf(1, true));
  EXPECT_THAT(All<PullHeld>(), SizeIs(1));
}

TEST_F(ReaderFaultsTest, NoVerdictByTheDeadlineIsLost) {
  Offered(1);
  Say(SealOf(1, 1));
  ServeReads();
  for (int i = 0; i < 10; ++i) {
    Advance(absl::Seconds(3));
    Say(RevokeOf(1));
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(TheLoss().status));
  Say(VerdictOf(1, true));
  EXPECT_THAT(All<PullHeld>(), SizeIs(0));
}

TEST_F(ReaderFaultsTest, AnOwnerThatNeverAnswersIsGivenUp) {
  Begin(1);
  Advance(absl::Milliseconds(4999));
  EXPECT_THAT(All<PullLost>(), SizeIs(0));
  Advance(absl::Milliseconds(1));
  EXPECT_TRUE(absl::IsUnavailable(TheLoss().status));
  EXPECT_TRUE(TheLoss().fenced);
}

TEST_F(ReaderFaultsTest, AnOwnerThatSaysRetryIsAlive) {
  Begin(1);
  v1::Handoff retry = New(1);
  retry.mutable_refused()->set_retry(true);
  for (int i = 0; i < 5; ++i) {
    Advance(absl::Seconds(4));
    Say(retry);
  }
  EXPECT_THAT(All<PullLost>(), SizeIs(0));
  Advance(absl::Seconds(5));
  EXPECT_TRUE(absl::IsUnavailable(TheLoss().status));
}

TEST_F(ReaderFaultsTest, AnOwnerSilentWhileConfirmingIsGivenUp) {
  Offered(1);
  Advance(absl::Milliseconds(1500));
  Say(SealOf(1, 1));
  ServeReads();
  ASSERT_EQ(reader->Find(Id(1))->state(), ReaderState::kConfirming);
  Advance(absl::Milliseconds(4999));
  EXPECT_THAT(All<PullLost>(), SizeIs(0));
  Advance(absl::Milliseconds(1));
  EXPECT_TRUE(absl::IsUnavailable(TheLoss().status));
  Say(VerdictOf(1, true));
  EXPECT_THAT(All<PullHeld>(), SizeIs(0));
}

TEST_F(ReaderFaultsTest, ALostVerdictIsLost) {
  Offered(1);
  Say(SealOf(1, 1));
  ServeReads();
  Say(VerdictOf(1, false));
  EXPECT_TRUE(absl::IsAborted(TheLoss().status));
}

TEST_F(ReaderFaultsTest, SealsThatDoNotAgreeAreLost) {
  const auto lost = [&](uint64_t n, auto change) {
    Offered(n);
    v1::Handoff seal = SealOf(n, 1);
    change(*seal.mutable_seal());
    out.clear();
    Say(seal);
    return All<PullLost>().size() == 1 && Sent(v1::Handoff::kConfirm) == 0;
  };
  EXPECT_FALSE(lost(1, [](v1::Seal&) {}));
  EXPECT_TRUE(lost(2, [](v1::Seal& s) { s.mutable_digest()->set_lo(0); }));
  EXPECT_TRUE(lost(3, [](v1::Seal& s) { s.set_tokens(39); }));
  EXPECT_TRUE(lost(4, [](v1::Seal& s) { s.set_offers(0); })) << "more offers came than were sealed";
  EXPECT_TRUE(lost(5, [](v1::Seal& s) { s.set_offers(~uint64_t{0}); }));
  EXPECT_TRUE(lost(6, [](v1::Seal& s) {
    for (int i = 0; i <= kMaxTokenScores; ++i) s.add_scores();
  }));
}

TEST_F(ReaderFaultsTest, AMissingOfferIsAwaitedAndAMissingUnitIsLost) {
  Begin(1);
  Say(OpenedOf(1));
  Say(OfferOf(1, 1, {0, 16, 0, 3}));
  ServeReads();
  Say(SealOf(1, 2));
  EXPECT_EQ(Sent(v1::Handoff::kConfirm), 0u);
  Say(OfferOf(1, 2, {16, 32, 0, 3}));
  EXPECT_THAT(TheLoss().status.message(), HasSubstr("not all was offered"));
}

TEST_F(ReaderFaultsTest, ASecondDifferentSealIsLost) {
  Offered(1);
  Say(SealOf(1, 1));
  v1::Handoff other = SealOf(1, 1);
  other.mutable_seal()->set_first_token(43);
  Say(other);
  EXPECT_TRUE(absl::IsDataLoss(TheLoss().status));
}

TEST_F(ReaderFaultsTest, ImpossibleOffersAreLost) {
  uint64_t n = 0;
  const auto lost = [&](auto change) {
    Begin(++n);
    Say(OpenedOf(n));
    v1::Handoff offer = OfferOf(n, 1, {0, 16, 0, 3});
    change(*offer.mutable_offer());
    out.clear();
    Say(offer);
    return All<PullLost>().size() == 1 && All<PostPull>().empty();
  };
  EXPECT_FALSE(lost([](v1::Offer&) {}));
  EXPECT_TRUE(lost([](v1::Offer& o) { o.set_number(0); }));
  EXPECT_TRUE(lost([](v1::Offer& o) { o.set_number(~uint64_t{0}); }));
  EXPECT_TRUE(lost([](v1::Offer& o) { o.set_end_token(~uint64_t{0}); }));
  EXPECT_TRUE(lost([](v1::Offer& o) { o.set_end_layer(~uint32_t{0}); }));
  EXPECT_TRUE(lost([](v1::Offer& o) { o.mutable_checksums()->RemoveLast(); }));
  EXPECT_TRUE(lost([](v1::Offer& o) { o.clear_pages(); }));
  EXPECT_TRUE(lost([](v1::Offer& o) { o.set_pages(0, ~uint32_t{0}); }));
  Begin(100);
  Say(OpenedOf(100));
  Say(OfferOf(100, 1, {0, 16, 0, 3}));
  out.clear();
  Say(OfferOf(100, 2, {0, 16, 2, 3}));
  EXPECT_THAT(All<PullLost>(), SizeIs(1)) << "units offered twice";
}

TEST_F(ReaderFaultsTest, ARestartedOwnerIsLost) {
  Offered(1);
  v1::Handoff offer = OfferOf(1, 2, {0, 16, 0, 3});
  ToProto(Epoch{1, 12}, offer.mutable_sender_epoch());
  Say(offer);
  EXPECT_THAT(All<PullLost>(), SizeIs(0)) << "of another life: dropped";
  v1::Handoff revoke = RevokeOf(1);
  ToProto(Epoch{1, 12}, revoke.mutable_sender_epoch());
  Say(revoke);
  EXPECT_TRUE(absl::IsUnavailable(TheLoss().status));
}

TEST_F(ReaderFaultsTest, ANewEpochCannotSayHeld) {
  Offered(1);
  Say(SealOf(1, 1));
  ServeReads();
  v1::Handoff verdict = VerdictOf(1, true);
  ToProto(Epoch{1, 12}, verdict.mutable_sender_epoch());
  Say(verdict);
  EXPECT_THAT(All<PullHeld>(), SizeIs(0));
  reader->OnMessage(testing::kOwnerPeer + 1, VerdictOf(1, true), now, &out);
  EXPECT_THAT(All<PullHeld>(), SizeIs(0)) << "from another peer";
}

TEST_F(ReaderFaultsTest, ARefusalEndsIt) {
  Begin(1);
  v1::Handoff refused = New(1);
  refused.mutable_refused()->set_reason("fingerprints differ");
  Say(refused);
  EXPECT_THAT(TheLoss().status.message(), HasSubstr("fingerprints differ"));
  EXPECT_TRUE(TheLoss().fenced);
}

// An owner that does not know of models yet grants what it should not.
TEST_F(ReaderFaultsTest, AnInexactOwnerOfAnotherModelOrOfNoneIsNotReadFrom) {
  ReaderOptions options = Options();
  options.inexact = true;
  options.model = "ours";
  for (const char* model : {"", "other", "ours"}) {
    reader.emplace(options);
    out.clear();
    Begin(1);
    v1::Handoff opened = OpenedOf(1);
    opened.mutable_opened()->set_inexact(true);
    opened.mutable_opened()->set_model(model);
    Say(opened);
    EXPECT_THAT(All<PullLost>(), SizeIs(options.model == model ? 0 : 1)) << model;
  }
}

TEST_F(ReaderFaultsTest, ARefusedReadIsLost) {
  Offered(1);
  ServeReads(true, absl::FailedPreconditionError("the lease has expired"));
  EXPECT_THAT(TheLoss().status.message(), HasSubstr("expired"));
}

TEST_F(ReaderFaultsTest, AClosedConnectionTakesOnlyThePullThatIsFencingWithIt) {
  Offered(1);
  Offered(2);
  const auto posts = All<PostPull>();
  reader->OnCancel(PullCancel{Id(1)}, now, &out);
  Advance(absl::Seconds(3));
  ASSERT_THAT(All<ClosePeer>(), SizeIs(1));
  out.clear();
  reader->OnReconnected(kOwnerPeer, kOwnerPeer + 1, now);
  for (const PostPull& post : posts) reader->OnReadDone(post.tag, absl::CancelledError("closed"), now, &out);
  EXPECT_THAT(All<PullFenced>(), SizeIs(1));
  EXPECT_THAT(All<PullLost>(), SizeIs(0));
  Advance(absl::Milliseconds(10));
  ASSERT_GT(All<PostPull>().size(), 0u) << "the other pull goes on";
  for (const PostPull& post : All<PostPull>()) EXPECT_EQ(post.peer, kOwnerPeer + 1);
  EXPECT_GT(Sent(v1::Handoff::kRenew), 0u) << "so that the owner knows where its reader is now";
  EXPECT_FALSE(reader->Uses(kOwnerPeer));
}

TEST_F(ReaderFaultsTest, AWireThatVerifiesSpeaksForTheBytes) {
  ReaderOptions options = Options();
  options.wire_verifies = true;
  reader.emplace(options);
  Offered(1);
  const auto posts = All<PostPull>();
  ASSERT_GT(posts.size(), 0u);
  EXPECT_EQ(posts[0].checks.size(), RectUnits(kSmallLayout, {0, 40, 0, 3}));
  Say(SealOf(1, 1));
  ServeReads();
  EXPECT_THAT(All<VerifyUnits>(), SizeIs(0));
  EXPECT_EQ(Sent(v1::Handoff::kConfirm), 1u);
  Offered(2);
  out.clear();
  reader->OnCancel(PullCancel{Id(1)}, now, &out);
  Offered(3);
  ServeReads(true, absl::DataLossError("wrong"));
  ASSERT_GE(All<PullLost>().size(), 1u);
  EXPECT_TRUE(absl::IsDataLoss(All<PullLost>().back().status));
}

TEST_F(ReaderFaultsTest, AReadWithoutAnswerIsAbortedAndPostedAgain) {
  Offered(1);
  const uint64_t tag = All<PostPull>()[0].tag;
  Advance(absl::Milliseconds(2000));
  ASSERT_THAT(All<AbortPull>(), SizeIs(1));
  EXPECT_THAT(All<PostPull>(), SizeIs(1)) << "not before the first has completed";
  reader->OnReadDone(tag, absl::CancelledError("aborted"), now, &out);
  ASSERT_THAT(All<PostPull>(), SizeIs(2));
  reader->OnReadDone(tag, absl::OkStatus(), now, &out);  // of a read that is over
  EXPECT_THAT(All<VerifyUnits>(), SizeIs(0));
}

TEST_F(ReaderFaultsTest, ALeaseGrantedTooLateIsReleased) {
  Begin(1);
  reader->OnCancel({Id(1)}, now, &out);
  EXPECT_TRUE(TheLoss().fenced);
  out.clear();
  Say(OpenedOf(1));
  ASSERT_EQ(Sent(v1::Handoff::kRelease), 1u);
  EXPECT_EQ(All<WireSend>()[0].message.release().lease(), 5u);
}

TEST_F(ReaderFaultsTest, ShutdownGivesUpEverything) {
  Begin(1);
  Offered(2);
  reader->Shutdown(now, &out);
  EXPECT_THAT(All<PullLost>(), SizeIs(2));
  EXPECT_EQ(reader->pulls(), 1u) << "one is fencing";
}

}  // namespace
}  // namespace baton
