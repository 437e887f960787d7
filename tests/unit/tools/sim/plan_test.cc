#include "tools/sim/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace baton::simulator {
namespace {

using testing::HasSubstr;

// Prompts want 5.5 ranks' time and answers 12.5: good is what both roles get done.
absl::StatusOr<Trial> Known(uint32_t prefill, uint32_t decode) {
  const double good = std::min({1.0, prefill / 5.5, decode / 12.5});
  return Trial{.prefill = prefill, .decode = decode, .good_share = good, .strain = 1 - good};
}

TEST(Plan, FindsTheFewestRanksAndTheirSplit) {
  const auto plan = FindPlan({.share = 1}, Known);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(plan->meets);
  EXPECT_EQ(plan->best.prefill, 6u);
  EXPECT_EQ(plan->best.decode, 13u);
  EXPECT_LT(plan->trials.size(), 120u);
}

TEST(Plan, FindsTheBestSplitOfSoManyRanks) {
  for (const uint32_t ranks : {2, 3, 9, 10, 18, 100}) {
    const auto plan = FindPlan({.share = 1, .ranks = ranks}, Known);
    ASSERT_TRUE(plan.ok());
    double best = 0;
    for (uint32_t prefill = 1; prefill < ranks; ++prefill)
      best = std::max(best, Known(prefill, ranks - prefill)->good_share);
    EXPECT_DOUBLE_EQ(plan->best.good_share, best) << ranks;
    EXPECT_EQ(plan->best.ranks(), ranks);
  }
}

TEST(Plan, SaysWhenNoneWillDo) {
  const auto plan = FindPlan({.share = 1, .max_ranks = 12}, Known);
  ASSERT_TRUE(plan.ok());
  EXPECT_FALSE(plan->meets);
  EXPECT_EQ(plan->best.ranks(), 12u);
  EXPECT_THAT(PlanToText("t", {.share = 1}, *plan), HasSubstr("NOT ENOUGH"));
  EXPECT_THAT(PlanToJson("t", "c", {.share = 1}, *plan), HasSubstr("\"meets\":false"));
  EXPECT_FALSE(FindPlan({.max_ranks = 1}, Known).ok());
  EXPECT_FALSE(FindPlan({.share = 1.5}, Known).ok());
}

TEST(Plan, ALoadOfPromptsWantsPrefillRanksAndOneOfAnswersDecodeRanks) {
  const auto plan_for = [](int64_t prompt, int64_t answer, double rate) {
    std::vector<load::TraceRow> rows(200);
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i].at = absl::Milliseconds(100 * i);
      rows[i].input_tokens = prompt;
      rows[i].output_tokens = answer;
    }
    const Trace trace = *PrepareTrace(rows, {});
    CompareOptions options{.policies = {"least_tokens"}, .seeds = 1, .half = Half::kWhole};
    options.cluster.curve = *ReadCurve(std::string(BATON_SOURCE_DIR) + "/tools/sim/curves/h100-8b.json");
    return *FindPlan({.ranks = 6}, SimulatedTry(options, trace, rate, [](const Trial&) {}));
  };
  const Trial prompts = plan_for(16000, 20, 8).best, answers = plan_for(64, 2000, 60).best;
  EXPECT_GT(prompts.prefill, prompts.decode);
  EXPECT_LT(answers.prefill, answers.decode);
}

}  // namespace
}  // namespace baton::simulator
