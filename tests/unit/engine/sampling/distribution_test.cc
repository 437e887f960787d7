#include "engine/sampling/distribution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "common/keyed_random.h"

namespace baton {
namespace {

using ::testing::ElementsAre;

enum : TokenId { A, B, C, D, E, F };

std::map<TokenId, double> Probabilities(const SamplingParams& params, absl::Span<const float> logits) {
  std::map<TokenId, double> out;
  double total = 0;
  for (const WeightedToken& c : Candidates(params, logits)) total += out[c.token] = c.weight;
  for (auto& [token, p] : out) p /= total;
  return out;
}

std::vector<float> RandomLogits(uint64_t seed, int vocab) {
  std::vector<float> logits(vocab);
  for (int i = 0; i < vocab; ++i) logits[i] = static_cast<float>(KeyedUniform(seed, 3, i) * 12 - 6);
  return logits;
}

// The worked example of the issue: presence penalty on tokens already generated, bias, temperature, then
// truncation.
class WorkedExample : public ::testing::Test {
 protected:
  WorkedExample() {
    params_ = {.temperature = 0.5f, .presence_penalty = 1.5f, .logit_bias = {{C, 0.8f}, {D, 0.8f}}};
    TokenHistory history;
    history.AddGenerated(A);
    history.AddGenerated(E);
    AdjustLogits(params_, history, absl::MakeSpan(logits_));
  }
  std::vector<float> logits_ = {2, 1, .5f, .1f, -1, -2};
  SamplingParams params_;
};

TEST_F(WorkedExample, WholeDistribution) {
  auto p = Probabilities(params_, logits_);
  EXPECT_NEAR(p[A], .0917, 5e-5);
  EXPECT_NEAR(p[B], .2492, 5e-5);
  EXPECT_NEAR(p[C], .4542, 5e-5);
  EXPECT_NEAR(p[D], .2041, 5e-5);
  EXPECT_NEAR(p[E], .0002, 5e-5);
  EXPECT_NEAR(p[F], .0006, 5e-5);
}

TEST_F(WorkedExample, TopThree) {
  params_.top_k = 3;
  auto p = Probabilities(params_, logits_);
  ASSERT_EQ(p.size(), 3u);
  EXPECT_NEAR(p[B], .2747, 5e-5);
  EXPECT_NEAR(p[C], .5005, 5e-5);
  EXPECT_NEAR(p[D], .2249, 5e-5);
}

TEST_F(WorkedExample, TopP) {
  params_.top_p = 0.7f;
  auto p = Probabilities(params_, logits_);
  ASSERT_EQ(p.size(), 2u);
  EXPECT_NEAR(p[B], .354, 5e-4);
  EXPECT_NEAR(p[C], .646, 5e-4);
}

TEST(CandidatesTest, MinPIsRelativeToTheMostLikely) {
  const std::vector<float> logits = {0, std::log(0.5f), std::log(0.2f), std::log(0.05f)};
  EXPECT_EQ(Candidates({.min_p = 0.1f}, logits).size(), 3u);
  EXPECT_EQ(Candidates({.min_p = 0.3f}, logits).size(), 2u);
  EXPECT_EQ(Candidates({.min_p = 1.0f}, logits).size(), 1u);
}

TEST(CandidatesTest, EqualsRankById) {
  const std::vector<float> logits = {1, 2, 2, 2, 1};
  const auto top2 = Candidates({.top_k = 2}, logits);
  ASSERT_EQ(top2.size(), 2u);
  EXPECT_EQ(top2[0].token, 1);
  EXPECT_EQ(top2[1].token, 2);
  const auto nucleus = Candidates({.top_p = 0.01f}, logits);
  ASSERT_EQ(nucleus.size(), 1u);
  EXPECT_EQ(nucleus[0].token, 1);
  EXPECT_EQ(Candidates({.top_p = 0.0f}, logits).size(), 1u);
  EXPECT_EQ(*Argmax(logits), 1);
  EXPECT_THAT(MostLikely(logits, 4), ElementsAre(1, 2, 3, 0));
  EXPECT_THAT(MostLikely(logits, 9), ElementsAre(1, 2, 3, 0, 4));
  EXPECT_TRUE(MostLikely(logits, 0).empty());
}

// Against a plain implementation that sorts everything.
TEST(CandidatesTest, TruncationAgreesWithFullSorts) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    std::vector<float> logits = RandomLogits(seed, 200);
    if (seed % 3 == 0) {
      for (float& logit : logits) logit = std::round(logit);  // many equals
    }
    SamplingParams params{.temperature = 0.3f + 0.01f * static_cast<float>(seed % 200)};
    params.top_k = seed % 2 ? 0 : static_cast<int32_t>(seed % 57);
    params.top_p = seed % 5 ? static_cast<float>(KeyedUniform(seed, 9, 0)) : 1.0f;
    params.min_p = seed % 7 ? 0.0f : 0.02f;

    std::vector<WeightedToken> sorted;
    const double highest = *std::ranges::max_element(logits);
    for (TokenId id = 0; id < 200; ++id)
      sorted.push_back({id, std::exp((logits[id] - highest) / params.temperature)});
    std::ranges::stable_sort(sorted, [&](auto& a, auto& b) { return logits[a.token] > logits[b.token]; });
    if (params.top_k > 0) sorted.resize(params.top_k);
    double total = 0;
    for (const auto& c : sorted) total += c.weight;
    std::vector<TokenId> expected;
    double sum = 0;
    for (const auto& c : sorted) {
      if (!expected.empty() && params.top_p < 1 && sum >= params.top_p * total) break;
      sum += c.weight;
      if (c.weight >= params.min_p) expected.push_back(c.token);
    }
    std::ranges::sort(expected);
    std::vector<TokenId> kept;
    for (const auto& c : Candidates(params, logits)) kept.push_back(c.token);
    EXPECT_EQ(kept, expected) << "seed " << seed;
  }
}

TEST(AdjustLogitsTest, PenaltiesFollowTheirDefinitions) {
  TokenHistory history;
  history.AddPrompt({A, B, B});
  history.AddGenerated(B);
  history.AddGenerated(C);
  history.AddGenerated(C);
  std::vector<float> repetition = {2, -2, 4, 1};
  AdjustLogits({.repetition_penalty = 2}, history, absl::MakeSpan(repetition));
  EXPECT_THAT(repetition, ElementsAre(1, -4, 2, 1));  // prompt and answer, once each
  std::vector<float> frequency = {0, 0, 0, 0};
  AdjustLogits({.frequency_penalty = 0.5f}, history, absl::MakeSpan(frequency));
  EXPECT_THAT(frequency, ElementsAre(0, -0.5f, -1, 0));  // the answer only, each time
  std::vector<float> presence = {0, 0, 0, 0};
  AdjustLogits({.presence_penalty = 0.5f}, history, absl::MakeSpan(presence));
  EXPECT_THAT(presence, ElementsAre(0, -0.5f, -0.5f, 0));
  std::vector<float> bias = {0, 0, 0, 0};
  AdjustLogits({.logit_bias = {{D, 3.0f}, {A, -100.0f}}}, history, absl::MakeSpan(bias));
  EXPECT_THAT(bias, ElementsAre(-100, 0, 0, 3));
}

TEST(DrawTest, WalksTheCumulativeDistributionById) {
  const std::vector<WeightedToken> candidates = {{2, 1.0}, {5, 2.0}, {9, 1.0}};
  EXPECT_EQ(Draw(candidates, 0.0), 2);
  EXPECT_EQ(Draw(candidates, 0.2499), 2);
  EXPECT_EQ(Draw(candidates, 0.25), 5);
  EXPECT_EQ(Draw(candidates, 0.7499), 5);
  EXPECT_EQ(Draw(candidates, 0.75), 9);
  EXPECT_EQ(Draw(candidates, 1 - 0x1p-53), 9);
}

TEST(ArgmaxTest, AcceptsNumbersOnly) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(*Argmax({-inf, 1.0f, -inf}), 1);
  EXPECT_EQ(Argmax({1.0f, nan}).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Argmax({nan, 1.0f}).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Argmax({1.0f, inf}).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Argmax({-inf, -inf}).status().code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace baton
