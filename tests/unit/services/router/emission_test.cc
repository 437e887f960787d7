#include "services/router/policy/emission.h"

#include <gtest/gtest.h>

namespace baton::router {
namespace {

StreamToken At(uint32_t position, TokenId token) {
  return {.position = position, .token = token};
}

TEST(StreamEmission, EmitsOnlyTheNextPositionOfTheCurrentAttempt) {
  StreamEmission emission;
  const Attempt first{1, 1};
  EXPECT_EQ(emission.Offer(first, At(0, 5)), EmissionVerdict::kStale) << "nothing has begun";
  ASSERT_TRUE(emission.Begin(first));
  EXPECT_EQ(emission.Offer(first, At(0, 5)), EmissionVerdict::kEmit);
  EXPECT_EQ(emission.Offer(first, At(2, 7)), EmissionVerdict::kGap);
  EXPECT_EQ(emission.Offer(first, At(1, 6)), EmissionVerdict::kEmit);
  EXPECT_EQ(emission.Offer(first, At(0, 5)), EmissionVerdict::kRepeated);
  EXPECT_EQ(emission.Offer(first, At(1, 9)), EmissionVerdict::kDiffers);
  EXPECT_EQ(emission.emitted(), (std::vector<TokenId>{5, 6}));
  EXPECT_EQ(emission.counts().emitted, 2u);
  EXPECT_EQ(emission.counts().stale, 1u);
  EXPECT_EQ(emission.counts().repeated, 1u);
  EXPECT_EQ(emission.counts().gaps, 1u);
  EXPECT_EQ(emission.counts().differing, 1u);
}

TEST(StreamEmission, ZombiesOfEarlierAttemptsEmitNothing) {
  StreamEmission emission;
  ASSERT_TRUE(emission.Begin({1, 1}));
  emission.Offer({1, 1}, At(0, 5));
  ASSERT_TRUE(emission.Begin({1, 2}));
  EXPECT_EQ(emission.Offer({1, 1}, At(1, 6)), EmissionVerdict::kStale);
  EXPECT_EQ(emission.Offer({1, 3}, At(1, 6)), EmissionVerdict::kStale);
  EXPECT_EQ(emission.Offer({1, 2}, At(1, 6)), EmissionVerdict::kEmit) << "positions go on over attempts";
}

TEST(StreamEmission, AttemptsOnlyGrow) {
  StreamEmission emission;
  ASSERT_TRUE(emission.Begin({1, 2}));
  EXPECT_FALSE(emission.Begin({1, 2}));
  EXPECT_FALSE(emission.Begin({1, 1}));
  EXPECT_TRUE(emission.Begin({2, 0})) << "a new claim outranks any n";
  EXPECT_EQ(emission.attempt(), (Attempt{2, 0}));
}

}  // namespace
}  // namespace baton::router
