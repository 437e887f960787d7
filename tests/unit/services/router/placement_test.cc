#include "services/router/policy/placement.h"

#include <gtest/gtest.h>

#include "services/router/policy/policies/factory.h"
#include "tests/unit/services/router/rank_views.h"

namespace baton::router {
namespace {

RankView Decode(uint64_t worker) {
  return Rank(worker, WorkerRole::kDecode, 100);
}
RankView Prefill(uint64_t worker) {
  return Rank(worker, WorkerRole::kPrefill, 100);
}

absl::StatusOr<Placement> PlaceLeastLoaded(const PlacementConfig& config, absl::Span<const RankView> ranks,
                                           const PlacementRequest& request) {
  PolicyRandom random(0);
  const PolicyInput input{.ranks = ranks, .request = request, .now = absl::UnixEpoch()};
  return (*MakePolicy("least_tokens", config))->Place(input, random);
}

constexpr PlacementConfig kConfig{.direct_below_tokens = 64};
const PlacementRequest kLong{.prompt_tokens = 200};

TEST(Placement, LeastLoadedOfEachRole) {
  std::vector<RankView> ranks = {Decode(1), Decode(2), Prefill(3), Prefill(4)};
  ranks[0].running = 3;
  ranks[2].backlog_tokens = 500;
  const auto placed = PlaceLeastLoaded(kConfig, ranks, kLong);
  ASSERT_TRUE(placed.ok());
  EXPECT_EQ(placed->decode.worker, 2u);
  EXPECT_EQ(placed->prefill->worker, 4u);
}

TEST(Placement, OwnStreamsCountAtOnce) {
  std::vector<RankView> ranks = {Decode(1), Decode(2)};
  ranks[0].own_streams = 1;
  EXPECT_EQ(PlaceLeastLoaded(kConfig, ranks, kLong)->decode.worker, 2u);
  ranks[1].running = 1;
  ranks[1].fresh_streams = 1;
  EXPECT_EQ(PlaceLeastLoaded(kConfig, ranks, kLong)->decode.worker, 1u);
}

TEST(Placement, ShortOrCachedPromptsGoStraightToDecode) {
  const std::vector<RankView> ranks = {Decode(1), Prefill(2)};
  EXPECT_FALSE(PlaceLeastLoaded(kConfig, ranks, {.prompt_tokens = 63})->prefill.has_value());
  EXPECT_TRUE(PlaceLeastLoaded(kConfig, ranks, {.prompt_tokens = 64})->prefill.has_value());
  EXPECT_FALSE(
      PlaceLeastLoaded(kConfig, ranks, {.prompt_tokens = 200, .cached_tokens = 150})->prefill.has_value());
}

TEST(Placement, DecodeAloneWithoutPrefillOfEqualFingerprint) {
  std::vector<RankView> ranks = {Decode(1), Prefill(2)};
  ranks[1].fingerprint = "b";
  EXPECT_FALSE(PlaceLeastLoaded(kConfig, ranks, kLong)->prefill.has_value());
  EXPECT_FALSE(PlaceLeastLoaded(kConfig, {Decode(1)}, kLong)->prefill.has_value());
}

TEST(Placement, OnlyHealthyUndrainedDecodeRanks) {
  std::vector<RankView> ranks = {Decode(1), Decode(2), Prefill(3)};
  ranks[0].draining = true;
  EXPECT_EQ(PlaceLeastLoaded(kConfig, ranks, kLong)->decode.worker, 2u);
  ranks[1].healthy = false;
  EXPECT_EQ(PlaceLeastLoaded(kConfig, ranks, kLong).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(PlaceLeastLoaded(kConfig, {}, kLong).status().code(), absl::StatusCode::kUnavailable);
}

TEST(Placement, SuspectsAndTriedRanksAreLastResorts) {
  std::vector<RankView> ranks = {Decode(1), Decode(2)};
  ranks[0].suspect = true;
  ranks[1].running = 50;
  EXPECT_EQ(PlaceLeastLoaded(kConfig, ranks, kLong)->decode.worker, 2u);
  ranks[0].suspect = false;
  PlacementRequest again = kLong;
  again.avoid = {{1, 0}};
  EXPECT_EQ(PlaceLeastLoaded(kConfig, ranks, again)->decode.worker, 2u);
  again.avoid.push_back({2, 0});
  EXPECT_EQ(PlaceLeastLoaded(kConfig, ranks, again)->decode.worker, 1u) << "nothing else is left";
}

TEST(Placement, ASuspectPrefillRankIsNotWaitedFor) {
  std::vector<RankView> ranks = {Decode(1), Prefill(2)};
  EXPECT_TRUE(PlaceLeastLoaded(kConfig, ranks, kLong)->prefill.has_value());
  ranks[1].suspect = true;
  EXPECT_FALSE(PlaceLeastLoaded(kConfig, ranks, kLong)->prefill.has_value()) << "decode computes the prompt";
}

TEST(Placement, AReplayGoesOnlyToRanksOfItsFingerprint) {
  std::vector<RankView> ranks = {Decode(1), Decode(2), Prefill(3)};
  ranks[0].fingerprint = "other";
  ranks[1].running = 50;
  ranks[2].fingerprint = "other";
  for (RankView& rank : ranks) {
    rank.accepts_inexact = true;
    rank.model_id = "m";
  }
  PlacementRequest replay = kLong;
  replay.fingerprint = ranks[1].fingerprint;
  const auto placement = PlaceLeastLoaded(kConfig, ranks, replay);
  ASSERT_TRUE(placement.ok());
  EXPECT_EQ(placement->decode.worker, 2u);
  EXPECT_FALSE(placement->prefill.has_value()) << "nor is KV of other numbers read";
  replay.fingerprint = "gone";
  EXPECT_EQ(PlaceLeastLoaded(kConfig, ranks, replay).status().code(), absl::StatusCode::kUnavailable);
}

TEST(Placement, PagesMustFitEverAndBetterNow) {
  std::vector<RankView> ranks = {Decode(1), Decode(2)};
  ranks[0].free_pages = 2;
  ranks[1].running = 9;
  EXPECT_EQ(PlaceLeastLoaded(kConfig, ranks, kLong)->decode.worker, 2u);
  ranks[0].total_pages = ranks[1].total_pages = 10;
  EXPECT_EQ(PlaceLeastLoaded(kConfig, ranks, kLong).status().code(), absl::StatusCode::kInvalidArgument);
  ranks[0].total_pages = 100;
  ranks[0].max_context = 100;
  EXPECT_FALSE(PlaceLeastLoaded(kConfig, ranks, kLong).ok());
}

TEST(Placement, TiesRotate) {
  std::vector<RankView> ranks = {Decode(1), Decode(2)};
  ranks[0].placed = 1;
  EXPECT_EQ(PlaceLeastLoaded(kConfig, ranks, kLong)->decode.worker, 2u);
  ranks[1].placed = 1;
  EXPECT_EQ(PlaceLeastLoaded(kConfig, ranks, kLong)->decode.worker, 1u);
}

TEST(Placement, OtherFingerprintsArePairedOnlyWhereBothAcceptThatAndNothingBetterIsThere) {
  std::vector<RankView> ranks = {Decode(1), Prefill(2)};
  ranks[1].fingerprint = "b";
  const auto placed = [&] { return *PlaceLeastLoaded(kConfig, ranks, kLong); };
  EXPECT_FALSE(placed().prefill.has_value());
  ranks[0].accepts_inexact = true;
  EXPECT_FALSE(placed().prefill.has_value());
  ranks[1].accepts_inexact = true;
  EXPECT_FALSE(placed().prefill.has_value()) << "who knows whether the models are the same";
  ranks[0].model_id = "m";
  ranks[1].model_id = "n";
  EXPECT_FALSE(placed().prefill.has_value()) << "another model's keys and values mean nothing here";
  ranks[1].model_id = "m";
  EXPECT_EQ(placed().prefill->worker, 2u);
  EXPECT_TRUE(placed().inexact);
  ranks[0].accepts_inexact = false;
  EXPECT_FALSE(placed().prefill.has_value());
  ranks[0].accepts_inexact = true;
  ranks.push_back(Prefill(3));
  ranks[2].backlog_tokens = 10'000;
  EXPECT_EQ(placed().prefill->worker, 3u) << "equal numbers go before load";
  EXPECT_FALSE(placed().inexact);
}

}  // namespace
}  // namespace baton::router
