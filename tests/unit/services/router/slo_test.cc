#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "services/router/policy/policies/factory.h"
#include "services/router/policy/rank_model.h"

namespace baton::router {
namespace {

constexpr double kTokenS = 1e-3;  // a token of a prompt takes this on the ranks of these tests
const MonoTime kStart = absl::UnixEpoch();

TEST(OnlineFit, FindsTheLineDespiteAWrongPriorAndOutliers) {
  OnlineFit fit({1, 1, 0, 0}, {10, 10, 1, 1});
  for (int i = 0; i < 400; ++i) {
    const double x = i % 10;
    const double y = i % 50 == 49 ? 100 : 0.2 + 0.03 * x;
    fit.Observe({1, x, 0, 0}, y);
  }
  EXPECT_NEAR(fit.Predict({1, 5, 0, 0}), 0.35, 0.05);
  EXPECT_GE(fit.Predict({-1, 0, 0, 0}), 0) << "no time is negative";
}

TEST(OnlineFit, StaysFiniteWhenOneTermNeverMovesAndSamplesAreNonsense) {
  PrefillFit fit;
  for (int i = 0; i < 20000; ++i) fit.Observe(1000, 0, 0.5);
  fit.Observe(1000, 0, -1);
  fit.Observe(1000, 0, std::nan(""));
  EXPECT_NEAR(fit.Seconds(1000, 0), 0.5, 0.02);
  EXPECT_LT(fit.Seconds(2000, 0), 5);
}

TEST(RankSpeed, IsWhatTheRankTookBesideTheFitWithinBounds) {
  RankSpeed speed;
  EXPECT_EQ(speed.slowness(), 1);
  for (int i = 0; i < 200; ++i) speed.Observe(0.1, 0.2);
  EXPECT_NEAR(speed.slowness(), 2, 0.05);
  for (int i = 0; i < 200; ++i) speed.Observe(0.1, 1e9);
  EXPECT_LE(speed.slowness(), RankSpeed::kMostSpeed);
}

RankView Rank(uint64_t worker, WorkerRole role) {
  return {.ref = {worker, 0},
          .role = role,
          .healthy = true,
          .fingerprint = "f",
          .page_tokens = 16,
          .total_pages = 10000,
          .free_pages = 10000};
}

class Slo : public testing::Test {
 protected:
  Slo() : policy_(*MakePolicy("slo(direct=0)", {})) {
    for (uint64_t worker : {1, 2}) ranks_.push_back(Rank(worker, WorkerRole::kPrefill));
    for (uint64_t worker : {3, 4}) ranks_.push_back(Rank(worker, WorkerRole::kDecode));
  }

  Placement Place(uint32_t prompt, std::vector<uint32_t> held = {}) {
    const PlacementRequest request{.prompt_tokens = prompt,
                                   .max_new_tokens = 100,
                                   .ttft_slo = absl::Seconds(4),
                                   .itl_slo = absl::Milliseconds(50)};
    const PolicyInput input{
        .stream = ++streams_, .ranks = ranks_, .held_tokens = held, .request = request, .now = now_};
    const Placement placement = *policy_->Place(input, random_);
    policy_->Learn(StreamPlaced{streams_, placement, now_});
    return placement;
  }
  void Finish(uint64_t stream, uint32_t prompt, double token_s) {
    now_ += absl::Seconds(prompt * token_s);
    policy_->Learn(StreamFirstToken{stream, 0, now_});
    now_ += absl::Milliseconds(100);
    policy_->Learn(StreamTokens{stream, 10, absl::Milliseconds(100), now_});
    policy_->Learn(StreamFinished{stream, 11, now_});
  }
  void Train() {
    for (int i = 0; i < 100; ++i) {
      const uint32_t prompt = 500 + 100 * uint32_t(i % 7);
      Place(prompt);
      Finish(streams_, prompt, kTokenS);
    }
  }

  std::unique_ptr<Policy> policy_;
  PolicyRandom random_{1};
  std::vector<RankView> ranks_;
  uint64_t streams_ = 0;
  MonoTime now_ = kStart;
};

TEST_F(Slo, PlacesBeforeItHasSeenAnything) {
  const Placement placement = Place(1000);
  EXPECT_GE(placement.decode.worker, 3u);
}

TEST_F(Slo, PrefersTheRankThatHoldsThePrefix) {
  Train();
  EXPECT_EQ(Place(2000, {0, 1800, 0, 0}).prefill->worker, 2u);
  Finish(streams_, 200, kTokenS);
  EXPECT_EQ(Place(2000, {1800, 0, 0, 0}).prefill->worker, 1u);
}

TEST_F(Slo, AHotPrefixSpreadsOnceItsRankWouldBeLate) {
  Train();
  std::vector<int> placed(5);
  for (int i = 0; i < 12; ++i) {
    const Placement placement = Place(2000, {1000, 0, 0, 0});
    ++placed[placement.prefill.value_or(placement.decode).worker];
  }
  EXPECT_GE(placed[1], 2);
  EXPECT_GE(12 - placed[1], 4) << "ranks that hold nothing took some";
}

TEST_F(Slo, TheDecodeRankComputesWhatItHoldsWhenPrefillRanksAreBusy) {
  Train();
  for (RankView& rank : ranks_) {
    if (rank.role == WorkerRole::kPrefill) rank.backlog_tokens = 100000;  // of another router's
  }
  for (int i = 0; i < 20; ++i) {  // it believes what stays
    Place(100);
    Finish(streams_, 100, kTokenS);
  }
  const Placement placement = Place(2000, {0, 0, 0, 1990});
  EXPECT_FALSE(placement.prefill.has_value());
  EXPECT_EQ(placement.decode.worker, 4u);
}

TEST_F(Slo, ForgetsStreamsThatEndAndRanksThatGo) {
  Train();
  for (uint64_t life = 10; life < 1000; ++life) {
    ranks_[0].ref.worker = life;
    Place(1000);
    policy_->Learn(StreamRefused{streams_, ranks_[0].ref, now_});
  }
  EXPECT_TRUE(Place(1000).decode.worker >= 3);
}

TEST(SloParameters, AreReadAndDescribed) {
  EXPECT_EQ((*MakePolicy("slo(ttft=3)", {}))->Describe().find("slo(ttft=3,"), 0u);
  EXPECT_FALSE(MakePolicy("slo(nonsense=3)", {}).ok());
  EXPECT_FALSE(MakePolicy("slo(ttft=-1)", {}).ok());
}

}  // namespace
}  // namespace baton::router
