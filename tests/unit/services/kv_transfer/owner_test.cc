// Leases and verdicts, rule by rule.

#include "services/kv_transfer/handoff/owner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/services/kv_transfer/owner_fixture.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using testing::Id;
using testing::kOwnerEpoch;
using testing::kReaderEpoch;
using testing::kReaderPeer;
using testing::kSmallLayout;
using ::testing::SizeIs;

class OwnerTest : public testing::OwnerFixture {};

TEST_F(OwnerTest, HeldWhenAllAgree) {
  const v1::Opened lease = Lease(1);
  OfferAll(1);
  Seal(1);
  EXPECT_EQ(owner->Find(Id(1))->state(), OwnerState::kSealed);
  EXPECT_TRUE(owner->OnPull(PullOf(1, lease, {0, 40, 0, 3}), now).ok());
  Say(ConfirmOf(1, lease, 1));
  EXPECT_TRUE(LastVerdict()->held());
  ASSERT_THAT(Ended(), SizeIs(1));
  EXPECT_TRUE(Ended()[0].held);
  EXPECT_EQ(owner->records(), 0u);
}

TEST_F(OwnerTest, OpenIsIdempotentAndRepeatedByTheSameLease) {
  const v1::Opened first = Lease(1);
  now += absl::Seconds(1);
  Say(OpenOf(1));
  const auto second = Last<v1::Opened>(&v1::Handoff::has_opened, &v1::Handoff::opened);
  EXPECT_EQ(first.lease(), second->lease());
  EXPECT_EQ(FromProto(first.secret()), FromProto(second->secret()));
  EXPECT_EQ(first.lease_ms(), 5000u);
  EXPECT_EQ(second->lease_ms(), 4000u);  // not renewed by asking again
  EXPECT_EQ(owner->counters().opened, 1u);
}

TEST_F(OwnerTest, OpenBeforeBeginIsToldToRetryAndGrantedAtBegin) {
  Say(OpenOf(1));
  EXPECT_TRUE(LastRefused()->retry());
  EXPECT_EQ(owner->pending(), 1u);
  out.clear();
  Begin(1);
  EXPECT_TRUE((Last<v1::Opened>(&v1::Handoff::has_opened, &v1::Handoff::opened)).has_value());
  EXPECT_EQ(owner->pending(), 0u);
}

TEST_F(OwnerTest, PendingOpenIsForgotten) {
  Say(OpenOf(1));
  Advance(absl::Seconds(2));
  EXPECT_EQ(owner->pending(), 0u);
  out.clear();
  Begin(1);
  EXPECT_THAT(out, SizeIs(0));
}

TEST_F(OwnerTest, RefusesOtherFingerprintLayoutRankAndTokensInWords) {
  Begin(1);
  const auto refused = [&](auto change) {
    v1::Handoff open = OpenOf(1);
    change(*open.mutable_open());
    out.clear();
    Say(open);
    return LastRefused().has_value() && !LastRefused()->retry() ? LastRefused()->reason() : "granted";
  };
  EXPECT_THAT(refused([](v1::Open& o) { o.set_fingerprint("other"); }), HasSubstr("fingerprints differ"));
  EXPECT_THAT(refused([](v1::Open& o) { o.set_fingerprint("an\nother"); }),
              HasSubstr("the reader's an\\nother"));
  EXPECT_THAT(refused([](v1::Open& o) { o.mutable_layout()->set_layers(4); }),
              HasSubstr("the owner keeps layers [0, 3) of KV heads [0, 2), the reader wants layers [0, 4)"));
  EXPECT_THAT(refused([](v1::Open& o) {
                ToProto(KvShard{0, 3, 1, 3}, o.mutable_part());
              }),
              HasSubstr("the reader wants layers [0, 3) of KV heads [1, 3)"));
  EXPECT_THAT(refused([](v1::Open& o) {
                ToProto(KvShard{0, 3, 1, 1}, o.mutable_part());
              }),
              HasSubstr("KV heads [1, 1)"));
  EXPECT_THAT(refused([](v1::Open& o) { o.mutable_layout()->set_atoms_per_page(0); }),
              HasSubstr("impossible KV layout"));
  EXPECT_THAT(refused([](v1::Open& o) { o.mutable_layout()->set_head_dim(8); }), HasSubstr("head dimension"));
  EXPECT_THAT(refused([](v1::Open& o) { o.mutable_layout()->set_dtype(2); }), HasSubstr("dtype"));
  EXPECT_THAT(refused([](v1::Open& o) { o.set_reader_rank(1); }), HasSubstr("ranks"));
  EXPECT_THAT(refused([](v1::Open& o) { o.set_end_token(56); }), HasSubstr("out of range"));
  EXPECT_THAT(refused([](v1::Open& o) { o.set_end_token(~uint64_t{0}); }), HasSubstr("out of range"));
  EXPECT_THAT(refused([](v1::Open& o) { o.set_begin_token(8); }), HasSubstr("whole atoms"));
  EXPECT_THAT(refused([](v1::Open& o) { o.set_hard_ms(0); }), HasSubstr("no time"));
  EXPECT_THAT(refused([](v1::Open& o) { o.mutable_owner_epoch()->set_lo(1); }),
              HasSubstr("owner has restarted"));
  EXPECT_THAT(refused([](v1::Open& o) { o.mutable_reader_epoch()->set_lo(1); }), HasSubstr("another epoch"));
  EXPECT_EQ(owner->counters().opened, 0u);
}

TEST_F(OwnerTest, AfterTheEndALateOpenIsRefusedForGood) {
  Begin(1);
  owner->OnRevoke({Id(1), "pressure"}, now, &out);
  out.clear();
  Say(OpenOf(1));
  EXPECT_FALSE(LastRefused()->retry());
  EXPECT_THAT(LastRefused()->reason(), HasSubstr("pressure"));
}

TEST_F(OwnerTest, LeaseExpiresWithoutRenewalAndNeverRevives) {
  const v1::Opened lease = Lease(1);
  OfferAll(1);
  Seal(1);
  now += absl::Milliseconds(5000);  // no tick has run yet
  EXPECT_FALSE(owner->OnPull(PullOf(1, lease, {0, 16, 0, 3}), now).ok());
  out.clear();
  Say(RenewOf(1, lease));
  EXPECT_TRUE(LastRevoke().has_value());
  ASSERT_THAT(Ended(), SizeIs(1));
  EXPECT_FALSE(Ended()[0].held);
  Say(ConfirmOf(1, lease, 1));
  EXPECT_FALSE(LastVerdict()->held());
  EXPECT_EQ(owner->counters().expired, 1u);
}

TEST_F(OwnerTest, RenewalKeepsTheLeaseUntilTheHardDeadline) {
  const v1::Opened lease = Lease(1);
  for (int i = 0; i < 7; ++i) {
    Advance(absl::Seconds(4));
    Say(RenewOf(1, lease));
    ASSERT_NE(owner->Find(Id(1)), nullptr) << i;
  }
  EXPECT_EQ((Last<v1::Renewed>(&v1::Handoff::has_renewed, &v1::Handoff::renewed))->lease_ms(),
            2000u);  // 28 of 30 s
  EXPECT_EQ((Last<v1::Renewed>(&v1::Handoff::has_renewed, &v1::Handoff::renewed))->serial(), 9u);
  Advance(absl::Seconds(2));
  EXPECT_THAT(Ended(), SizeIs(1));
}

TEST_F(OwnerTest, NobodyOpens) {
  Begin(1);
  Advance(absl::Seconds(6));
  ASSERT_THAT(Ended(), SizeIs(1));
  EXPECT_THAT(Ended()[0].reason, HasSubstr("no reader opened"));
}

TEST_F(OwnerTest, PullIsValidated) {
  const v1::Opened lease = Lease(1);
  owner->OnOffer(Offer(1, 0, 16), now, &out);
  EXPECT_TRUE(owner->OnPull(PullOf(1, lease, {0, 16, 0, 3}), now).ok());
  v1::Handoff wrong_secret = PullOf(1, lease, {0, 16, 0, 3});
  wrong_secret.mutable_pull()->mutable_secret()->set_lo(1);
  EXPECT_FALSE(owner->OnPull(wrong_secret, now).ok());
  v1::Handoff wrong_epoch = PullOf(1, lease, {0, 16, 0, 3});
  wrong_epoch.mutable_pull()->mutable_owner_epoch()->set_lo(1);
  EXPECT_FALSE(owner->OnPull(wrong_epoch, now).ok());
  v1::Handoff wrong_lease = PullOf(1, lease, {0, 16, 0, 3});
  wrong_lease.mutable_pull()->set_lease(lease.lease() + 1);
  EXPECT_FALSE(owner->OnPull(wrong_lease, now).ok());
  v1::Handoff wrong_sender = PullOf(1, lease, {0, 16, 0, 3});
  wrong_sender.mutable_sender_epoch()->set_lo(1);
  EXPECT_FALSE(owner->OnPull(wrong_sender, now).ok());
  EXPECT_FALSE(owner->OnPull(PullOf(1, lease, {16, 32, 0, 3}), now).ok()) << "not offered";
  EXPECT_FALSE(owner->OnPull(PullOf(1, lease, {0, 8, 0, 3}), now).ok()) << "half an atom";
  EXPECT_FALSE(owner->OnPull(PullOf(2, lease, {0, 16, 0, 3}), now).ok()) << "another handoff's lease";
  EXPECT_EQ(owner->counters().pulls, 1u);
  EXPECT_EQ(owner->counters().pulls_refused, 7u);
}

TEST_F(OwnerTest, RevokeVoidsAllPartsAtOnce) {
  const v1::Opened lease = Lease(1);
  OfferAll(1);
  Seal(1);
  owner->OnRevoke({Id(1), "preempted"}, now, &out);
  EXPECT_THAT(LastRevoke()->reason(), HasSubstr("preempted"));
  EXPECT_FALSE(owner->OnPull(PullOf(1, lease, {0, 16, 0, 3}), now).ok());
  Say(ConfirmOf(1, lease, 1));
  EXPECT_FALSE(LastVerdict()->held());
  EXPECT_THAT(Ended(), SizeIs(1));
}

TEST_F(OwnerTest, VerdictIsFinalAndRepeatedUntilTheHardDeadline) {
  const v1::Opened lease = Lease(1);
  OfferAll(1);
  Seal(1);
  Say(ConfirmOf(1, lease, 1));
  Advance(absl::Seconds(20));
  for (const uint64_t offers : {1, 2}) {
    out.clear();
    Say(ConfirmOf(1, lease, offers));
    EXPECT_TRUE(LastVerdict()->held());
  }
  EXPECT_EQ(owner->counters().verdicts_repeated, 2u);
  Advance(absl::Seconds(10));
  EXPECT_EQ(owner->verdicts(), 0u);
  out.clear();
  Say(ConfirmOf(1, lease, 1));
  EXPECT_FALSE(LastVerdict()->held()) << "no record means lost";
  EXPECT_THAT(Ended(), SizeIs(0));
}

TEST_F(OwnerTest, ALostVerdictStaysLost) {
  const v1::Opened lease = Lease(1);
  OfferAll(1);
  Seal(1);
  Say(ConfirmOf(1, lease, 2));
  EXPECT_THAT(LastVerdict()->reason(), HasSubstr("2 offers confirmed, 1 sealed"));
  Say(ConfirmOf(1, lease, 1));
  EXPECT_FALSE(LastVerdict()->held());
}

TEST_F(OwnerTest, ConfirmIsLostUnlessAllAgree) {
  const auto verdict = [&](uint64_t n, bool seal, auto change) {
    const v1::Opened lease = Lease(n);
    OfferAll(n);
    if (seal) Seal(n);
    v1::Handoff confirm = ConfirmOf(n, lease, 1);
    change(*confirm.mutable_confirm());
    out.clear();
    Say(confirm);
    return LastVerdict()->held();
  };
  EXPECT_TRUE(verdict(1, true, [](v1::Confirm&) {}));
  EXPECT_FALSE(verdict(2, false, [](v1::Confirm&) {})) << "before the seal";
  EXPECT_FALSE(verdict(3, true, [](v1::Confirm& c) { c.mutable_owner_epoch()->set_lo(1); }));
  EXPECT_FALSE(verdict(4, true, [](v1::Confirm& c) { c.mutable_reader_epoch()->set_lo(1); }));
  EXPECT_FALSE(verdict(5, true, [](v1::Confirm& c) { c.mutable_secret()->set_lo(1); }));
  EXPECT_FALSE(verdict(6, true, [](v1::Confirm& c) { c.set_lease(1); }));
  EXPECT_FALSE(verdict(7, true, [](v1::Confirm& c) { c.set_offers(0); }));
}

TEST_F(OwnerTest, LeaseIdsAreNeverUsedTwice) {
  uint64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    out.clear();
    const v1::Opened lease = Lease(1);  // begun again: the older record ends
    EXPECT_GT(lease.lease(), last);
    last = lease.lease();
    EXPECT_THAT(Ended(), SizeIs(i == 0 ? 0 : 1));
  }
}

TEST_F(OwnerTest, NothingOfAnEndedLeaseCountsTowardsTheNext) {
  const v1::Opened old = Lease(1);
  OfferAll(1);
  Seal(1);
  const v1::Opened lease = Lease(1);
  EXPECT_FALSE(owner->OnPull(PullOf(1, old, {0, 16, 0, 3}), now).ok());
  EXPECT_FALSE(owner->OnPull(PullOf(1, lease, {0, 16, 0, 3}), now).ok()) << "not offered on this lease";
  Say(ConfirmOf(1, old, 1));
  EXPECT_FALSE(LastVerdict()->held());
  EXPECT_NE(owner->Find(Id(1)), nullptr);
}

TEST_F(OwnerTest, ANewReaderEpochEndsTheOldOnesLeases) {
  const v1::Opened old = Lease(1);
  OwnBegin begin = BeginOf(2);
  begin.reader_epoch = {2, 23};
  owner->OnBegin(begin, now, &out);
  v1::Handoff open = OpenOf(2);
  open.mutable_open()->mutable_reader_epoch()->set_lo(23);
  Say(open);
  ASSERT_THAT(Ended(), SizeIs(1));
  EXPECT_EQ(Ended()[0].id, Id(1));
  EXPECT_EQ(owner->counters().superseded, 1u);
  EXPECT_FALSE(owner->OnPull(PullOf(1, old, {0, 16, 0, 3}), now).ok());

  Begin(3);  // a late Open of the old life must not end the new one's
  Say(OpenOf(3));
  EXPECT_THAT(LastRefused()->reason(), HasSubstr("reader has restarted"));
  EXPECT_NE(owner->Find(Id(2)), nullptr);
}

TEST_F(OwnerTest, AnOpenOfAnOldLifeThatWaitedForItsBeginIsRefusedToo) {
  Lease(1);
  Say(OpenOf(3));  // remembered
  OwnBegin begin = BeginOf(2);
  begin.reader_epoch = {2, 23};
  owner->OnBegin(begin, now, &out);
  v1::Handoff open = OpenOf(2);
  open.mutable_open()->mutable_reader_epoch()->set_lo(23);
  Say(open);
  Begin(3);
  EXPECT_THAT(LastRefused()->reason(), HasSubstr("reader has restarted"));
  EXPECT_EQ(owner->Find(Id(3))->lease(), 0u);
  EXPECT_NE(owner->Find(Id(2)), nullptr);
}

TEST_F(OwnerTest, ALivingReaderIsNotTakenForItsOldLifeForEver) {
  Begin(1);  // for the old life, whose Open comes late
  OwnBegin begin = BeginOf(2);
  begin.reader_epoch = {2, 23};
  owner->OnBegin(begin, now, &out);
  v1::Handoff open = OpenOf(2);
  open.mutable_open()->mutable_reader_epoch()->set_lo(23);
  Say(open);
  Say(OpenOf(1));  // it looks like the newer life, and ends the lease of the living one
  EXPECT_EQ(owner->Find(Id(2)), nullptr);

  begin.id = Id(3);
  open = OpenOf(3);
  open.mutable_open()->mutable_reader_epoch()->set_lo(23);
  Say(open);
  EXPECT_TRUE(LastRefused()->retry());
  now += Options().lease;
  begin.hard_deadline = now + absl::Seconds(20);
  owner->OnBegin(begin, now, &out);
  Say(open);
  ASSERT_NE(owner->Find(Id(3)), nullptr);
  EXPECT_EQ(owner->Find(Id(3))->state(), OwnerState::kLeased);
}

TEST_F(OwnerTest, ReleaseEndsTheLeaseAndNeedsItsSecret) {
  const v1::Opened lease = Lease(1);
  v1::Handoff release = NewMessage(Id(1), kReaderEpoch);
  ToProto(kOwnerEpoch, release.mutable_release()->mutable_owner_epoch());
  release.mutable_release()->set_lease(lease.lease());
  Say(release);
  EXPECT_THAT(Ended(), SizeIs(0));
  *release.mutable_release()->mutable_secret() = lease.secret();
  Say(release);
  EXPECT_THAT(Ended(), SizeIs(1));
  EXPECT_EQ(owner->counters().released, 1u);
}

TEST_F(OwnerTest, TablesAreBounded) {
  OwnerOptions options = Options();
  options.max_leases = 3;
  options.max_pending = 2;
  options.max_verdicts = 4;
  Restart(options);
  for (uint64_t n = 1; n <= 4; ++n) Begin(n);
  ASSERT_THAT(Ended(), SizeIs(1));
  EXPECT_THAT(Ended()[0].reason, HasSubstr("too many"));
  for (uint64_t n = 11; n <= 14; ++n) Say(OpenOf(n));
  EXPECT_EQ(owner->pending(), 2u);
  for (uint64_t n = 1; n <= 3; ++n) {
    Say(OpenOf(n));
    owner->OnRevoke({Id(n), ""}, now, &out);
  }
  EXPECT_EQ(owner->verdicts(), 3u);
  Begin(5);
  out.clear();
  Say(OpenOf(5));
  EXPECT_TRUE(LastRefused()->retry()) << "no verdict would be forgotten early to make room";
}

TEST_F(OwnerTest, ShutdownEndsEveryRecordOnce) {
  Lease(1);
  Begin(2);
  owner->Shutdown(now, &out);
  EXPECT_THAT(Ended(), SizeIs(2));
  EXPECT_EQ(owner->records(), 0u);
}

TEST_F(OwnerTest, VerbsOfAnOwnerAreMalformed) {
  v1::Handoff message = NewMessage(Id(1), kReaderEpoch);
  message.mutable_verdict()->set_held(true);
  Say(message);
  EXPECT_EQ(owner->counters().malformed, 1u);
}

}  // namespace
}  // namespace baton
