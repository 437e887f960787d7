#include "engine/sampling/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "common/keyed_random.h"

namespace baton {
namespace {

SampledToken MustSample(const SamplingParams& params, int64_t position, std::vector<float> logits,
                        int32_t top = -1) {
  absl::StatusOr<SampledToken> sampled = Sample(params, {}, position, top, absl::MakeSpan(logits));
  EXPECT_TRUE(sampled.ok()) << sampled.status();
  return sampled.value_or(SampledToken{.token = -1});
}

// Pearson's chi-square of `draws` draws against the probabilities exp(logits).
double ChiSquare(const std::vector<double>& probabilities, int draws, const SamplingParams& base,
                 bool by_seed) {
  std::vector<float> logits;
  for (double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  std::vector<int> counts(probabilities.size());
  for (int i = 0; i < draws; ++i) {
    SamplingParams params = base;
    if (by_seed) params.seed = 1000 + i;
    ++counts[MustSample(params, by_seed ? 0 : i, logits).token];
  }
  double chi = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = probabilities[i] * draws;
    chi += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  return chi;
}

TEST(SampleTest, DrawsFollowTheDistribution) {
  const std::vector<double> probabilities = {.4, .25, .15, .1, .05, .03, .015, .005};
  // 7 degrees of freedom: 24.3 is exceeded once in a thousand; the seeds are fixed.
  EXPECT_LT(ChiSquare(probabilities, 40000, {.seed = 11}, /*by_seed=*/false), 24.3);
  EXPECT_LT(ChiSquare(probabilities, 40000, {}, /*by_seed=*/true), 24.3);
  EXPECT_LT(ChiSquare(probabilities, 40000, {.seed = 12, .choice_index = 3}, /*by_seed=*/false), 24.3);
}

TEST(SampleTest, GreedyTakesTheLowestOfEquals) {
  EXPECT_EQ(MustSample({.temperature = 0}, 0, {1, 3, 3, 2}).token, 1);
  EXPECT_EQ(MustSample({.temperature = 0, .logit_bias = {{3, 2.0f}}}, 0, {1, 3, 3, 2}).token, 3);
}

TEST(SampleTest, DependsOnSeedChoiceAndPositionAlone) {
  std::vector<float> logits(500);
  for (int i = 0; i < 500; ++i) logits[i] = static_cast<float>(KeyedUniform(1, 2, i));
  const SamplingParams params{.seed = 42, .choice_index = 1};
  int same_seed = 0, same_choice = 0, same_position = 0;
  for (int position = 0; position < 200; ++position) {
    const TokenId token = MustSample(params, position, logits).token;
    EXPECT_EQ(MustSample(params, position, logits).token, token);
    same_seed += MustSample({.seed = 43, .choice_index = 1}, position, logits).token == token;
    same_choice += MustSample({.seed = 42, .choice_index = 2}, position, logits).token == token;
    same_position += MustSample(params, position + 1, logits).token == token;
  }
  EXPECT_LT(same_seed, 10);
  EXPECT_LT(same_choice, 10);
  EXPECT_LT(same_position, 10);
}

TEST(SampleTest, LogprobsAreOfTheModelsOwnDistribution) {
  const std::vector<float> logits = {2, 1, .5f, .1f, -1, -2};
  double sum = 0;
  for (float logit : logits) sum += std::exp(logit);
  const SamplingParams params{.temperature = 0, .logit_bias = {{2, 50.0f}}};
  const SampledToken sampled = MustSample(params, 0, logits, 3);
  EXPECT_EQ(sampled.token, 2);
  EXPECT_NEAR(sampled.logprob, 0.5 - std::log(sum), 1e-6);
  ASSERT_EQ(sampled.top.size(), 3u);
  EXPECT_EQ(sampled.top[0].token, 0);
  EXPECT_NEAR(sampled.top[0].logprob, 2 - std::log(sum), 1e-6);
  EXPECT_EQ(sampled.top[2].token, 2);
  EXPECT_TRUE(MustSample(params, 0, logits, 0).top.empty());
  EXPECT_EQ(MustSample(params, 0, logits, 20).top.size(), 6u);
}

TEST(SampleTest, AskingForLogprobsChangesNoToken) {
  std::vector<float> logits(64);
  for (int i = 0; i < 64; ++i) logits[i] = static_cast<float>(KeyedUniform(3, 2, i) * 5);
  for (int position = 0; position < 100; ++position) {
    const SamplingParams params{.top_p = 0.9f, .seed = 5};
    EXPECT_EQ(MustSample(params, position, logits, 5).token, MustSample(params, position, logits).token);
  }
}

TEST(SampleTest, BadLogitsAreAnError) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (float temperature : {0.0f, 1.0f}) {
      std::vector<float> logits = {1, bad, 2};
      EXPECT_EQ(Sample({.temperature = temperature}, {}, 0, 2, absl::MakeSpan(logits)).status().code(),
                absl::StatusCode::kInternal);
    }
  }
}

TEST(SampleTest, ExtremeParametersStayDefined) {
  const std::vector<float> wide = {-3e38f, 3e38f, 0, 1};
  for (float temperature : {1e-38f, 1e-3f, 100.0f}) {
    EXPECT_EQ(
        MustSample({.temperature = temperature, .top_k = 1000, .top_p = 1e-9f, .min_p = 1}, 7, wide).token,
        1);
    const TokenId token = MustSample({.temperature = temperature}, 7, {5, 4}).token;
    EXPECT_TRUE(token == 0 || token == 1);
  }
}

}  // namespace
}  // namespace baton
