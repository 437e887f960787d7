#include "services/worker/pool_planner.h"

#include <gtest/gtest.h>

#include <random>

#include "services/worker/pool_breaker.h"

namespace baton {
namespace {

std::vector<BlockHash> Blocks(uint64_t prompt, size_t n) {
  std::vector<BlockHash> blocks;
  for (size_t i = 0; i < n; ++i) blocks.push_back({prompt, i + 1});
  return blocks;
}

TEST(TransferCostModelTest, FindsBandwidthAndMu) {
  TransferCostModel model;
  std::mt19937_64 random(1);
  for (int i = 0; i < 60; ++i) {
    const int64_t bytes = (int64_t{1} << 20) * (1 + static_cast<int64_t>(random() % 100));
    model.Moved(bytes, absl::Milliseconds(3) + absl::Seconds(static_cast<double>(bytes) / 2e9));
  }
  EXPECT_NEAR(model.bytes_per_second(), 2e9, 1e8);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(model.mu()), 3, 0.7);
}

TEST(TransferCostModelTest, FollowsAChangeWithinAFewMoves) {
  TransferCostModel model;
  const auto move = [&](double bytes_per_second) {
    for (const int64_t mib : {10, 90, 40, 70, 20}) {
      model.Moved(mib << 20, absl::Seconds(static_cast<double>(mib << 20) / bytes_per_second));
    }
  };
  for (int i = 0; i < 10; ++i) move(4e9);
  EXPECT_LT(model.Transfer(int64_t{100} << 20), absl::Milliseconds(40));
  for (int i = 0; i < 6; ++i) move(1e8);
  EXPECT_GT(model.Transfer(int64_t{100} << 20), absl::Milliseconds(800));
}

TEST(TransferCostModelTest, EqualSizesAreNoTrouble) {
  TransferCostModel model;
  for (int i = 0; i < 50; ++i) model.Moved(50 << 20, absl::Milliseconds(25));
  EXPECT_NEAR(absl::ToDoubleMilliseconds(model.Transfer(50 << 20)), 25, 2);
  EXPECT_GE(model.mu(), absl::ZeroDuration());
  EXPECT_GT(model.bytes_per_second(), 0);
}

TEST(TransferCostModelTest, RateIsOfRecentPromptsAndNotOfTinyOnes) {
  TransferCostModel model;
  model.Computed(1000, absl::Seconds(2));
  EXPECT_DOUBLE_EQ(model.tokens_per_second(), 500);
  model.Computed(3, absl::Seconds(1));
  EXPECT_DOUBLE_EQ(model.tokens_per_second(), 500);
  for (int i = 0; i < 30; ++i) model.Computed(1000, absl::Seconds(1));
  EXPECT_NEAR(model.tokens_per_second(), 1000, 1);
  EXPECT_NEAR(absl::ToDoubleSeconds(model.Recompute(500)), 0.5, 1e-3);
}

TEST(RecentBlocksTest, RemembersAsManyAsTheCacheHolds) {
  RecentBlocks recent(10);
  recent.Use(Blocks(1, 6));
  EXPECT_EQ(recent.Leading(Blocks(1, 8)), 6u);
  recent.Use(Blocks(2, 6));
  EXPECT_EQ(recent.Leading(Blocks(2, 6)), 6u);
  EXPECT_EQ(recent.Leading(Blocks(1, 6)), 4u) << "leaves are forgotten first";
}

class PoolPlannerTest : public testing::Test {
 protected:
  PoolPlanner::Plan Decide(const std::vector<BlockHash>& blocks) { return planner_.Decide(0, blocks); }
  // A prompt that was computed, so that the rank has it.
  void Compute(const std::vector<BlockHash>& blocks, absl::Duration took) {
    PoolPlanner::Plan plan = Decide(blocks);
    planner_.Computed(plan, blocks, static_cast<int64_t>(blocks.size()) * 16, took);
  }
  PoolPlanner planner_{{.block_bytes = 1 << 20, .cache_blocks = 100, .probe_every = 4}};
};

TEST_F(PoolPlannerTest, AsksForLongPromptsOnly) {
  Compute(Blocks(9, 50), absl::Milliseconds(800));  // 1000 tokens a second
  EXPECT_GT(planner_.LeastBlocks(), 0u);
  EXPECT_TRUE(Decide(Blocks(1, 60)).ask);
  for (int i = 0; i < 100; ++i)
    planner_.Fetched(*std::make_unique<PoolPlanner::Plan>(), 320, absl::Milliseconds(400));
  EXPECT_GT(planner_.LeastBlocks(), 10u) << "moves turned out slow";
  EXPECT_FALSE(Decide(Blocks(2, 3)).ask);
  EXPECT_EQ(planner_.counters().too_short, 1u);
}

TEST_F(PoolPlannerTest, WhatTheRankHasIsNotAskedFor) {
  Compute(Blocks(1, 40), absl::Seconds(1));
  EXPECT_FALSE(Decide(Blocks(1, 40)).ask);
  EXPECT_EQ(planner_.counters().local, 1u);
  const PoolPlanner::Plan longer = Decide(Blocks(1, 80));
  EXPECT_TRUE(longer.ask);
  EXPECT_EQ(longer.skip, 40u);
}

TEST_F(PoolPlannerTest, ASlowPoolIsTriedAgainNowAndThen) {
  for (int i = 0; i < 30; ++i) {
    PoolPlanner::Plan plan;
    planner_.Fetched(plan, 160, absl::Seconds(10));
  }
  int asked = 0;
  for (uint64_t prompt = 1; prompt <= 12; ++prompt) asked += Decide(Blocks(prompt, 20)).ask;
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(planner_.counters().probes, 3u);
}

TEST_F(PoolPlannerTest, RegretsAreCounted) {
  Compute(Blocks(9, 100), absl::Milliseconds(1600));  // 1000 tokens a second
  PoolPlanner::Plan slow = Decide(Blocks(1, 50));
  planner_.Answered(slow, 50, 50);
  EXPECT_EQ(slow.guess_recompute, absl::Milliseconds(800));
  planner_.Fetched(slow, 800, absl::Seconds(2));
  EXPECT_EQ(planner_.counters().fetch_regret, absl::Milliseconds(1200));

  PoolPlanner::Plan lost = Decide(Blocks(2, 50));
  planner_.Answered(lost, 50, 50);
  planner_.Fetched(lost, 0, absl::Milliseconds(300));
  EXPECT_EQ(planner_.counters().fetch_regret, absl::Milliseconds(1500));
  EXPECT_EQ(planner_.counters().lost, 1u);

  PoolPlanner::Plan computed = Decide(Blocks(3, 50));
  planner_.Answered(computed, 25, 0);  // there, but not enough of it
  planner_.Computed(computed, Blocks(3, 50), 800, absl::Seconds(20));
  EXPECT_GT(planner_.counters().recompute_regret, absl::Seconds(1));
}

TEST_F(PoolPlannerTest, PatienceHasBounds) {
  PoolPlanner::Plan plan;
  EXPECT_EQ(planner_.Patience(plan), absl::Milliseconds(500));
  plan.guess_transfer = absl::Seconds(1);
  EXPECT_EQ(planner_.Patience(plan), absl::Seconds(4));
  plan.guess_transfer = absl::Seconds(100);
  EXPECT_EQ(planner_.Patience(plan), absl::Seconds(10));
}

TEST_F(PoolPlannerTest, ARankThatIsNotThereIsNotPlannedFor) {
  EXPECT_FALSE(planner_.Decide(7, Blocks(1, 50)).ask);
}

TEST(PoolBreakerTest, OpensAfterThreeFailuresAndDoublesItsPauses) {
  PoolBreaker breaker;
  MonoTime now = absl::UnixEpoch() + absl::Seconds(100);
  for (int i = 0; i < 2; ++i) breaker.Failed(now);
  EXPECT_TRUE(breaker.Allows(now));
  breaker.Failed(now);
  EXPECT_FALSE(breaker.Allows(now));
  now += absl::Milliseconds(500);
  EXPECT_TRUE(breaker.Allows(now));
  breaker.Failed(now);
  EXPECT_FALSE(breaker.Allows(now + absl::Milliseconds(999)));
  EXPECT_TRUE(breaker.Allows(now + absl::Seconds(1)));
  for (int i = 0; i < 20; ++i) breaker.Failed(now);
  EXPECT_TRUE(breaker.Allows(now + absl::Seconds(15)));
  breaker.Succeeded();
  EXPECT_TRUE(breaker.Allows(now));
  EXPECT_FALSE(breaker.open());
}

}  // namespace
}  // namespace baton
