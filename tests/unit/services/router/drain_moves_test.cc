#include "services/router/policy/drain_moves.h"

#include <gtest/gtest.h>

namespace baton::router {
namespace {

const MonoTime kNow = absl::UnixEpoch() + absl::Hours(1);

RankView Rank(uint64_t worker, uint64_t running, bool draining = false) {
  RankView rank;
  rank.ref = {worker, 0};
  rank.role = WorkerRole::kDecode;
  rank.healthy = true;
  rank.draining = draining;
  rank.fingerprint = "f";
  rank.running = running;
  return rank;
}

std::vector<StreamAt> Streams(int count, RankRef at) {
  std::vector<StreamAt> streams;
  for (int i = 1; i <= count; ++i) streams.push_back({{9, static_cast<uint64_t>(i)}, at});
  return streams;
}

TEST(DrainMovesTest, SpreadsStreamsOverTheLeastLoaded) {
  DrainMoves moves({});
  const std::vector<RankView> ranks = {Rank(1, 4, true), Rank(2, 3), Rank(3, 1)};
  const auto plan = moves.Plan(Streams(4, {1, 0}), ranks, kNow);
  ASSERT_EQ(plan.size(), 4u);
  EXPECT_EQ(plan[0].target, (RankRef{3, 0}));
  EXPECT_EQ(plan[1].target, (RankRef{3, 0}));
  EXPECT_EQ(plan[2].target, (RankRef{2, 0}));
  EXPECT_EQ(plan[3].target, (RankRef{3, 0}));
  EXPECT_TRUE(moves.Plan(Streams(4, {1, 0}), ranks, kNow).empty());  // all under way
  for (const DrainMove& move : plan) moves.Ended(move.id, absl::OkStatus(), kNow);
  EXPECT_EQ(moves.moving(), 0u);
}

TEST(DrainMovesTest, AtMostSoManyAtATime) {
  DrainMoves moves({.max_moving = 2});
  const std::vector<RankView> ranks = {Rank(1, 4, true), Rank(2, 0)};
  EXPECT_EQ(moves.Plan(Streams(5, {1, 0}), ranks, kNow).size(), 2u);
  EXPECT_EQ(moves.Plan(Streams(5, {1, 0}), ranks, kNow).size(), 0u);
  moves.Ended({9, 1}, absl::OkStatus(), kNow);
  EXPECT_EQ(moves.Plan(Streams(5, {1, 0}), ranks, kNow).size(), 1u);
}

TEST(DrainMovesTest, OnlyFromWhereItDrainsAndToWhereItIsTheSame) {
  DrainMoves moves({});
  EXPECT_TRUE(moves.Plan(Streams(2, {1, 0}), std::vector{Rank(1, 2), Rank(2, 0)}, kNow).empty());
  std::vector<RankView> bad(7, Rank(2, 0));
  bad[0] = Rank(1, 2, true);
  bad[1].fingerprint = "g";
  bad[2].draining = true;
  bad[3].healthy = false;
  bad[4].suspect = true;
  bad[5].role = WorkerRole::kPrefill;
  bad[6].ref = {1, 1};  // of the same worker
  EXPECT_TRUE(moves.Plan(Streams(2, {1, 0}), bad, kNow).empty());
  EXPECT_TRUE(moves.Plan(Streams(2, {7, 0}), bad, kNow).empty());  // at a rank that nobody knows
}

TEST(DrainMovesTest, FailuresAreTriedAgainAfterAGrowingPauseAFewTimes) {
  DrainMoves moves({.max_tries = 2, .pause = absl::Seconds(1)});
  const std::vector<RankView> ranks = {Rank(1, 1, true), Rank(2, 0)};
  const auto streams = Streams(1, {1, 0});
  ASSERT_EQ(moves.Plan(streams, ranks, kNow).size(), 1u);
  moves.Ended(streams[0].id, absl::ResourceExhaustedError(""), kNow);
  EXPECT_TRUE(moves.Plan(streams, ranks, kNow + absl::Milliseconds(999)).empty());
  ASSERT_EQ(moves.Plan(streams, ranks, kNow + absl::Seconds(1)).size(), 1u);
  moves.Ended(streams[0].id, absl::ResourceExhaustedError(""), kNow);
  EXPECT_TRUE(moves.Plan(streams, ranks, kNow + absl::Hours(1)).empty());
  moves.Ended({1, 1}, absl::OkStatus(), kNow);  // of a stream never seen
}

TEST(DrainMovesTest, AStreamThatIsNotMovableForAMomentKeepsItsFailures) {
  DrainMoves moves({.pause = absl::Seconds(1)});
  const std::vector<RankView> ranks = {Rank(1, 1, true), Rank(2, 0)};
  const std::vector<StreamAt> free = Streams(1, {1, 0});
  std::vector<StreamAt> busy = free;
  busy[0].movable = false;
  EXPECT_TRUE(moves.Plan(busy, ranks, kNow).empty());
  ASSERT_EQ(moves.Plan(free, ranks, kNow).size(), 1u);
  EXPECT_TRUE(moves.Plan(busy, ranks, kNow).empty());
  moves.Ended(free[0].id, absl::ResourceExhaustedError(""), kNow);
  EXPECT_TRUE(moves.Plan(busy, ranks, kNow).empty());  // looked at before the failure was known
  EXPECT_TRUE(moves.Plan(free, ranks, kNow).empty());  // its pause goes on
  EXPECT_TRUE(moves.Plan({}, ranks, kNow).empty());    // the stream is over: forgotten
  EXPECT_EQ(moves.Plan(free, ranks, kNow).size(), 1u);
}

}  // namespace
}  // namespace baton::router
