// Offers and the seal: numbered, split, clipped, resent, bounded.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/services/kv_transfer/owner_fixture.h"

namespace baton {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Id;
using testing::kDigest;
using testing::kSmallLayout;
using ::testing::SizeIs;

class OwnerOffersTest : public testing::OwnerFixture {
 protected:
  std::vector<v1::Offer> Offers() const {
    std::vector<v1::Offer> offers;
    for (const OwnerAction& action : out) {
      const auto* send = std::get_if<WireSend>(&action);
      if (send != nullptr && send->message.has_offer()) offers.push_back(send->message.offer());
    }
    return offers;
  }
  std::optional<v1::Seal> LastSeal() const {
    return Last<v1::Seal>(&v1::Handoff::has_seal, &v1::Handoff::seal);
  }
};

TEST_F(OwnerOffersTest, CarryNumberChecksumsAndPages) {
  const v1::Opened lease = Lease(1);
  owner->OnOffer(Offer(1, 0, 32), now, &out);
  owner->OnOffer(Offer(1, 32, 40), now, &out);
  const auto offers = Offers();
  ASSERT_THAT(offers, SizeIs(2));
  EXPECT_EQ(offers[0].number(), 1u);
  EXPECT_EQ(offers[0].lease(), lease.lease());
  EXPECT_THAT(offers[0].pages(), ElementsAre(5));
  EXPECT_EQ(offers[1].number(), 2u);
  EXPECT_THAT(offers[1].pages(), ElementsAre(6));
  EXPECT_EQ(offers[1].checksums_size(), static_cast<int>(RectUnits(kSmallLayout, {32, 40, 0, 3})));
}

TEST_F(OwnerOffersTest, MadeBeforeTheOpenAreSentAfterIt) {
  Begin(1);
  OfferAll(1);
  Seal(1);
  EXPECT_THAT(out, SizeIs(0));
  Say(OpenOf(1));
  EXPECT_THAT(Offers(), SizeIs(1));
  EXPECT_EQ(LastSeal()->offers(), 1u);
  EXPECT_EQ(owner->Find(Id(1))->state(), OwnerState::kSealed);
}

TEST_F(OwnerOffersTest, AreCutToWhatWasOpened) {
  Begin(1);
  OwnOffer offer = Offer(1, 0, 40);
  for (size_t i = 0; i < offer.checksums.size(); ++i) offer.checksums[i] = i;
  owner->OnOffer(offer, now, &out);
  v1::Handoff open = OpenOf(1);
  open.mutable_open()->set_begin_token(32);
  Say(open);
  ASSERT_THAT(Offers(), SizeIs(1));
  EXPECT_EQ(Offers()[0].begin_token(), 32u);
  EXPECT_EQ(Offers()[0].checksums(0), RectUnits(kSmallLayout, {0, 32, 0, 3}));
  const auto lease = *Last<v1::Opened>(&v1::Handoff::has_opened, &v1::Handoff::opened);
  EXPECT_FALSE(owner->OnPull(PullOf(1, lease, {0, 16, 0, 3}), now).ok()) << "offered, but never opened";
  EXPECT_TRUE(owner->OnPull(PullOf(1, lease, {32, 40, 0, 3}), now).ok());
}

TEST_F(OwnerOffersTest, LargeOnesAreSplitByAtoms) {
  OwnerOptions options = Options();
  options.max_offer_units = RectUnits(kSmallLayout, {0, 32, 0, 3});
  Restart(options);
  Lease(1, 72);
  OwnOffer offer = Offer(1, 0, 72);
  for (size_t i = 0; i < offer.checksums.size(); ++i) offer.checksums[i] = i;
  owner->OnOffer(offer, now, &out);
  const auto offers = Offers();
  ASSERT_THAT(offers, SizeIs(3));
  EXPECT_EQ(offers[2].begin_token(), 64u);
  EXPECT_EQ(offers[2].end_token(), 72u);
  EXPECT_EQ(offers[2].checksums(0), 2 * options.max_offer_units);
}

TEST_F(OwnerOffersTest, AreResentUntilAcknowledged) {
  const v1::Opened lease = Lease(1);
  OfferAll(1);
  Seal(1);
  out.clear();
  Advance(absl::Milliseconds(60));
  EXPECT_THAT(Offers(), SizeIs(1));
  EXPECT_TRUE(LastSeal().has_value());
  Say(AckOf(1, lease, 1, false));
  out.clear();
  Advance(absl::Milliseconds(200));
  EXPECT_THAT(Offers(), SizeIs(0));
  EXPECT_TRUE(LastSeal().has_value());
  Say(AckOf(1, lease, 1, true));
  out.clear();
  Advance(absl::Seconds(3));
  EXPECT_THAT(out, SizeIs(0));
}

TEST_F(OwnerOffersTest, AWindowBoundsWhatIsUnderWayAndLossesAreRepaired) {
  OwnerOptions options = Options();
  options.offer_window = 2;
  Restart(options);
  const v1::Opened lease = Lease(1, 160);
  std::vector<PageId> pages = {5, 6, 7, 8, 9};
  for (int64_t begin = 0; begin < 160; begin += 16) {
    OwnOffer offer = Offer(1, begin, begin + 16);
    offer.pages = pages;
    owner->OnOffer(offer, now, &out);
  }
  Seal(1);
  EXPECT_THAT(Offers(), SizeIs(2));
  EXPECT_FALSE(LastSeal().has_value());
  out.clear();
  Advance(absl::Milliseconds(51));
  EXPECT_THAT(Offers(), SizeIs(2)) << "both again";
  for (uint64_t number = 1; number <= 10; ++number) Say(AckOf(1, lease, number, false));
  EXPECT_EQ(LastSeal()->offers(), 10u);
}

TEST_F(OwnerOffersTest, AForgedAckIsIgnored) {
  const v1::Opened lease = Lease(1);
  OfferAll(1);
  v1::Handoff ack = AckOf(1, lease, 1, true);
  ack.mutable_offer_ack()->mutable_secret()->set_lo(0);
  Say(ack);
  Say(AckOf(1, lease, 1000, true));  // acknowledges no more than was sent
  EXPECT_EQ(owner->counters().stale, 1u);
  EXPECT_NE(owner->Find(Id(1)), nullptr);
}

TEST_F(OwnerOffersTest, InvalidOffersEndTheLease) {
  const auto reason = [&](auto change) {
    out.clear();
    Lease(1);
    owner->OnOffer(Offer(1, 0, 16), now, &out);
    OwnOffer offer = Offer(1, 16, 32);
    change(offer);
    out.clear();
    owner->OnOffer(offer, now, &out);
    return Ended().empty() ? "" : Ended()[0].reason;
  };
  EXPECT_EQ(reason([](OwnOffer&) {}), "");
  EXPECT_THAT(reason([](OwnOffer& o) { o.begin = 0, o.end = 16; }), HasSubstr("offered twice"));
  EXPECT_THAT(reason([](OwnOffer& o) { o.checksums.pop_back(); }), HasSubstr("checksums"));
  EXPECT_THAT(reason([](OwnOffer& o) { o.pages[0] = 9; }), HasSubstr("replaced"));
  EXPECT_THAT(reason([](OwnOffer& o) { o.pages[1] = 64; }), HasSubstr("no page 64"));
  EXPECT_THAT(reason([](OwnOffer& o) { o.pages.clear(); }), HasSubstr("fewer pages"));
  EXPECT_THAT(reason([](OwnOffer& o) { o.end = 31; }), HasSubstr("whole atoms"));
  EXPECT_THAT(reason([](OwnOffer& o) { o.end_layer = 4; }), HasSubstr("out of range"));
}

TEST_F(OwnerOffersTest, NothingIsOfferedAfterTheSealAndNothingSealedTwice) {
  Lease(1);
  owner->OnOffer(Offer(1, 0, 16), now, &out);
  Seal(1);
  owner->OnOffer(Offer(1, 16, 32), now, &out);
  EXPECT_THAT(Ended(), SizeIs(1));
  Lease(2);
  Seal(2);
  Seal(2);
  EXPECT_THAT(Ended(), SizeIs(2));
}

TEST_F(OwnerOffersTest, CommandsOfEndedRecordsAreIgnored) {
  OfferAll(1);
  Seal(1);
  owner->OnRevoke({Id(1), ""}, now, &out);
  EXPECT_THAT(out, SizeIs(0));
  EXPECT_EQ(owner->counters().ignored_commands, 3u);
}

}  // namespace
}  // namespace baton
