#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "services/router/policy/policies/factory.h"
#include "services/router/policy/policy_spec.h"
#include "tests/unit/services/router/rank_views.h"

namespace baton::router {
namespace {

using testing::HasSubstr;

// Decode ranks 1 to n, prefill ranks n+1 to 2n; a prompt of 200 tokens.
class PolicyTest : public testing::Test {
 protected:
  void Make(absl::string_view text, uint64_t of_each_role = 3) {
    ranks_.clear();
    for (uint64_t i = 1; i <= of_each_role; ++i) ranks_.push_back(Rank(i, WorkerRole::kDecode));
    for (uint64_t i = 1; i <= of_each_role; ++i)
      ranks_.push_back(Rank(of_each_role + i, WorkerRole::kPrefill));
    held_.assign(ranks_.size(), 0);
    blocks_.assign(ranks_.size(), 0);
    auto policy = MakePolicy(text, {.direct_below_tokens = 64});
    ASSERT_TRUE(policy.ok()) << policy.status();
    policy_ = *std::move(policy);
  }
  Placement Place() {
    auto placed = policy_->Place({.stream = ++stream_,
                                  .ranks = ranks_,
                                  .held_tokens = held_,
                                  .held_blocks = blocks_,
                                  .request = request_,
                                  .now = absl::UnixEpoch()},
                                 random_);
    EXPECT_TRUE(placed.ok()) << placed.status();
    return placed.ok() ? *placed : Placement();
  }
  RankView& Worker(uint64_t worker) { return ranks_[worker - 1]; }

  std::unique_ptr<Policy> policy_;
  std::vector<RankView> ranks_;
  std::vector<uint32_t> held_;
  std::vector<uint64_t> blocks_;
  PlacementRequest request_{.prompt_tokens = 200};
  PolicyRandom random_{1};
  uint64_t stream_ = 0;
};

TEST_F(PolicyTest, RoundRobinTakesEachInTurnWhoeverComesAndGoes) {
  Make("round_robin");
  for (uint64_t turn : {1, 2, 3, 1}) EXPECT_EQ(Place().decode.worker, turn);
  Worker(2).healthy = false;
  EXPECT_EQ(Place().decode.worker, 3u);
  Worker(2).healthy = true;
  EXPECT_EQ(Place().decode.worker, 1u);
  EXPECT_EQ(Place().prefill->worker, 4u) << "the seventh of 4, 5, 6";
}

TEST_F(PolicyTest, PowerOfTwoNeverTakesTheMostLoadedAndSpreads) {
  Make("power_of_two");
  Worker(2).running = 5;
  std::map<uint64_t, int> times;
  for (int i = 0; i < 300; ++i) ++times[Place().decode.worker];
  EXPECT_EQ(times[2], 0) << "the other of any two is less loaded";
  EXPECT_GT(times[1], 80);
  EXPECT_GT(times[3], 80);
}

TEST_F(PolicyTest, CacheAwareFollowsThePrefixUntilLoadIsUneven) {
  Make("cache_aware(threshold=0.5,abs=4,rel=1.5)");
  held_[4] = 144;  // worker 5
  blocks_ = {5, 9, 5, 100, 200, 20};
  EXPECT_EQ(Place().prefill->worker, 5u);
  EXPECT_EQ(Place().reasons.held_tokens, 144u);
  held_[4] = 96;
  EXPECT_EQ(Place().prefill->worker, 6u) << "below the threshold: who holds the fewest blocks";
  held_[4] = 144;
  Worker(5).own_streams = 5;
  EXPECT_EQ(Place().prefill->worker, 4u) << "uneven: the least loaded of ranks 4 and 6 first";
  Worker(4).own_streams = Worker(6).own_streams = 4;
  EXPECT_EQ(Place().prefill->worker, 5u) << "more than abs apart, but not rel times";
}

TEST_F(PolicyTest, AHotPrefixSpreadsUnderCacheAwareAndKvCost) {
  for (const char* text : {"cache_aware(threshold=0.3,abs=4,rel=1.1)", "kv_cost"}) {
    Make(text, 4);
    held_[4] = 192;
    std::map<uint64_t, int> times;
    for (int i = 0; i < 64; ++i) {
      const Placement placed = Place();
      RankView& prefill = Worker(placed.prefill->worker);
      ++times[prefill.ref.worker];
      ++prefill.own_streams;
      prefill.own_tokens += 200;
      held_[prefill.ref.worker - 1] = 192;  // it will have computed it
    }
    for (uint64_t worker = 5; worker <= 8; ++worker) {
      EXPECT_GE(times[worker], 8) << text << ", worker " << worker;
      EXPECT_LE(times[worker], 24) << text << ", worker " << worker;
    }
  }
}

TEST_F(PolicyTest, VllmCountsWaitingFourTimes) {
  Make("vllm_dplb");
  Worker(1).running = 5;
  Worker(2).waiting = 1;
  Worker(3).running = 4;
  Worker(3).fresh_streams = 1;
  EXPECT_EQ(Place().decode.worker, 2u);
  EXPECT_EQ(Place().reasons.decode_score, 4);
  Worker(2).fresh_streams = 1;
  EXPECT_EQ(Place().decode.worker, 1u);
}

TEST_F(PolicyTest, VllmByUsageMindsFullCachesAndOwnStreams) {
  Make("vllm_dplb(form=usage,clients=2)");
  Worker(1).own_streams = 2;  // 4
  Worker(2).waiting = 2;      // 2 + 2 * 6 * 0.4
  Worker(2).free_pages = 100;
  Worker(3).running = 5;
  EXPECT_EQ(Place().decode.worker, 1u);
  Worker(1).own_streams = 3;
  EXPECT_EQ(Place().decode.worker, 3u);
  Worker(2).free_pages = 600;
  EXPECT_EQ(Place().decode.worker, 2u) << "usage below one half costs nothing";
}

TEST_F(PolicyTest, KvCostWeighsWhatIsHeldAgainstWhatIsInUse) {
  Make("kv_cost");
  held_[3] = 160;  // saves ten blocks of prefill and ten new ones
  EXPECT_EQ(Place().prefill->worker, 4u);
  EXPECT_EQ(Place().reasons.prefill_score, 6) << "13 blocks, 10 held: 3 to compute and 3 new";
  Worker(4).backlog_tokens = 16 * 21;
  EXPECT_EQ(Place().prefill->worker, 5u);
  Make("kv_cost(temperature=0.5)");
  held_[3] = 160;
  std::map<uint64_t, int> times;
  for (int i = 0; i < 400; ++i) ++times[Place().prefill->worker];
  EXPECT_GT(times[4], times[5] * 4) << "e^2 times as likely";
  EXPECT_GT(times[5], 10);
}

TEST_F(PolicyTest, WhatTheDecodeRankHoldsNeedsNoPrefillRank) {
  Make("cache_aware");
  held_[1] = 144;
  const Placement placed = Place();
  EXPECT_EQ(placed.decode.worker, 2u);
  EXPECT_FALSE(placed.prefill.has_value()) << "56 tokens are left";
  Make("cache_aware(direct=20)");
  held_[1] = 144;
  EXPECT_TRUE(Place().prefill.has_value());
}

TEST_F(PolicyTest, SuspectAndAvoidedRanksComeLastInEveryPolicy) {
  for (const std::string& name : PolicyNames()) {
    Make(name);
    Worker(1).suspect = true;
    request_.avoid = {{2, 0}, {4, 0}, {6, 0}};
    for (int i = 0; i < 5; ++i) {
      const Placement placed = Place();
      EXPECT_EQ(placed.decode.worker, 3u) << name;
      ASSERT_TRUE(placed.prefill.has_value()) << name;
      EXPECT_EQ(placed.prefill->worker, 5u) << name;
    }
    Worker(3).draining = true;
    EXPECT_EQ(Place().decode.worker, 2u) << name << ": tried before is better than suspect";
  }
}

TEST_F(PolicyTest, DescribesItselfAsTextThatMakesItAgain) {
  for (const std::string& name : PolicyNames()) {
    Make(name);
    const std::string text = policy_->Describe();
    Make(text);
    EXPECT_EQ(policy_->Describe(), text);
  }
  Make(" kv_cost( temperature = 0.25 ) ");
  EXPECT_EQ(policy_->Describe(), "kv_cost(overlap_weight=1,temperature=0.25,direct=64)");
}

TEST(PolicySpec, WrongTextsAreNamed) {
  const std::pair<const char*, const char*> kWrong[] = {
      {"", "begins with no name"},
      {"Round-Robin", "begins with no name"},
      {"best_guess", "there is no policy 'best_guess'; there are round_robin"},
      {"cache_aware(threshold=0.5", "')' is missing"},
      {"cache_aware(threshold)", "'threshold' is not name=value"},
      {"cache_aware(threshold=)", "is not name=value"},
      {"cache_aware(,)", "is not name=value"},
      {"cache_aware(abs=1,abs=2)", "'abs' is there twice"},
      {"cache_aware(threshold=1.5)", "threshold is '1.5', not a number from 0 to 1"},
      {"cache_aware(threshold=nan)", "not a number"},
      {"cache_aware(speed=1)", "has no parameter 'speed'; it has threshold, abs, rel, direct"},
      {"vllm_dplb(form=new)", "not one of classic, usage"},
  };
  for (const auto& [text, why] : kWrong) {
    const auto policy = MakePolicy(text, {});
    ASSERT_FALSE(policy.ok()) << text;
    EXPECT_EQ(policy.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(policy.status().message()), HasSubstr(why)) << text;
  }
  EXPECT_FALSE(MakePolicy(std::string(5000, 'a'), {}).ok());
}

}  // namespace
}  // namespace baton::router
