#include "services/router/serve/resume_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace baton::router {
namespace {

// A record of `tokens` tokens 10, 11, ..., of which those below `unscored` lack their log-probabilities.
FoundRecord Found(uint64_t worker, uint32_t tokens, uint32_t unscored = 0, const char* fingerprint = "f") {
  FoundRecord found{.worker = worker, .fingerprint = fingerprint};
  found.record.spec.top_logprobs = 2;
  found.record.attempt = {1, static_cast<uint32_t>(worker)};
  for (uint32_t i = 0; i < tokens; ++i) {
    const bool scored = i >= unscored;
    found.record.tokens.push_back({.position = i, .token = TokenId(10 + i), .logprob = scored ? -1.f : 0.f});
    found.record.scored.push_back(scored);
  }
  return found;
}

TEST(ResumePlan, NoRecordNoPlan) {
  EXPECT_EQ(PlanResume({}), std::nullopt);
}

TEST(ResumePlan, GoesOnWhereTheStreamRunsWithWhatOthersKnowOfItsFirstToken) {
  FoundRecord prefill = Found(1, 1), decode = Found(2, 5, 1);
  decode.record.live = true;
  decode.record.rank = 3;
  decode.record.cached_tokens = 16;
  const auto plan = PlanResume({prefill, decode});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->tokens.size(), 5u);
  EXPECT_EQ(plan->tokens[0].logprob, -1.f);
  EXPECT_EQ(plan->live, (RankRef{2, 3}));
  EXPECT_EQ(plan->attempt, (Attempt{1, 2}));
  EXPECT_EQ(plan->cached_tokens, 16u);
  EXPECT_EQ(plan->fingerprint, "f");
}

TEST(ResumePlan, TokensWithoutScoresThatTheClientWantsAreGeneratedAgain) {
  FoundRecord decode = Found(2, 5, 3);
  decode.record.live = true;
  const auto wants = PlanResume({decode});
  EXPECT_EQ(wants->tokens.size(), 0u);
  EXPECT_EQ(wants->live, std::nullopt) << "it has gone on beyond them";
  decode.record.spec.top_logprobs = -1;
  EXPECT_EQ(PlanResume({decode})->tokens.size(), 5u) << "nobody asked for them";
}

TEST(ResumePlan, ScoresOfAnotherFingerprintOrOfAnotherTokenAreNotLent) {
  EXPECT_EQ(PlanResume({Found(1, 2, 0, "g"), Found(2, 5, 2)})->tokens.size(), 0u);
  FoundRecord differs = Found(1, 2);
  differs.record.tokens[1].token = 99;
  const auto plan = PlanResume({differs, Found(2, 5, 2)});
  EXPECT_EQ(plan->tokens.size(), 1u);
}

TEST(ResumePlan, TheLongestRecordCounts) {
  FoundRecord shorter = Found(9, 3);
  shorter.record.live = true;  // a zombie's, which was left behind
  const auto plan = PlanResume({shorter, Found(1, 4)});
  EXPECT_EQ(plan->tokens.size(), 4u);
  EXPECT_EQ(plan->live, std::nullopt);
}

}  // namespace
}  // namespace baton::router
