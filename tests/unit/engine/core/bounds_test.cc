// What is refused, what fails, and what happens when pages run out.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/unit/engine/core/core_harness.h"

namespace baton {
namespace {

using ::testing::HasSubstr;

absl::Status Refusal(const SequenceSpec& spec, const FakeRunnerOptions& model = {}) {
  CoreHarness h(model);
  h.Handle(ServeCommand{1, spec});
  EXPECT_FALSE(h.core.HasWork());
  return h[1].failed.value_or(absl::OkStatus());
}

TEST(SpecTest, NonsenseIsAnInvalidArgument) {
  const SequenceSpec good = MakeSpec(RandomTokens(1, 10), 10);
  std::vector<std::pair<SequenceSpec, std::string>> bad;
  const auto add = [&](const std::string& text, auto edit) {
    SequenceSpec spec = good;
    edit(spec);
    bad.emplace_back(spec, text);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  add("no tokens", [](auto& s) { s.tokens.clear(); });
  add("prompt_tokens", [](auto& s) { s.prompt_tokens = 0; });
  add("prompt_tokens", [](auto& s) { s.prompt_tokens = 11; });
  add("vocabulary", [](auto& s) { s.tokens[3] = 64; });
  add("vocabulary", [](auto& s) { s.tokens[3] = -1; });
  add("stop token", [](auto& s) { s.stop_tokens = {1, 64}; });
  add("max_tokens", [](auto& s) { s.max_tokens = 0; });
  add("max_tokens", [](auto& s) { s.max_tokens = -5; });
  add("context", [](auto& s) { s.max_tokens = 503; });
  add("context", [](auto& s) { s.max_tokens = std::numeric_limits<int64_t>::max(); });
  add("already emitted", [](auto& s) { s.prompt_tokens = 4, s.max_tokens = 6; });
  add("top_logprobs", [](auto& s) { s.top_logprobs = 21; });
  add("temperature", [&](auto& s) { s.sampling.temperature = nan; });
  add("temperature", [&](auto& s) { s.sampling.temperature = -1; });
  add("temperature", [&](auto& s) { s.sampling.temperature = inf; });
  add("top_p", [&](auto& s) { s.sampling.top_p = nan; });
  add("top_p", [&](auto& s) { s.sampling.top_p = 1.5f; });
  add("min_p", [&](auto& s) { s.sampling.min_p = -0.1f; });
  add("top_k", [&](auto& s) { s.sampling.top_k = -1; });
  add("presence_penalty", [&](auto& s) { s.sampling.presence_penalty = nan; });
  add("frequency_penalty", [&](auto& s) { s.sampling.frequency_penalty = inf; });
  add("repetition_penalty", [&](auto& s) { s.sampling.repetition_penalty = 0; });
  add("logit_bias", [&](auto& s) { s.sampling.logit_bias = {{64, 1.0f}}; });
  add("logit_bias", [&](auto& s) { s.sampling.logit_bias = {{6, nan}}; });
  for (const auto& [spec, text] : bad) {
    const absl::Status status = Refusal(spec);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
  EXPECT_EQ(Refusal(good, {.pages = 1}).code(), absl::StatusCode::kResourceExhausted);
}

TEST(SpecTest, AnExactFitIsServed) {
  CoreHarness h({.pages = 4, .max_context = 65});
  h.Handle(ServeCommand{1, MakeSpec(RandomTokens(2, 30), 35)});  // 64 tokens have keys and values
  h.RunUntilIdle();
  EXPECT_EQ(h[1].tokens.size(), 35u);
  h.Handle(ServeCommand{2, MakeSpec(RandomTokens(2, 64), 1)});
  h.RunUntilIdle();
  EXPECT_EQ(h[2].tokens.size(), 1u);
}

TEST(BoundsTest, KnowsAtMostMaxSequences) {
  CoreHarness h({}, {.max_sequences = 2});
  for (SeqId id = 1; id <= 3; ++id) h.Handle(ServeCommand{id, MakeSpec(RandomTokens(id, 5), 5)});
  EXPECT_EQ(h[3].failed->code(), absl::StatusCode::kResourceExhausted);
  h.RunUntilIdle();
  h.Handle(ServeCommand{4, MakeSpec(RandomTokens(4, 5), 5)});
  h.RunUntilIdle();
  EXPECT_EQ(h[4].tokens.size(), 5u);
}

TEST(BoundsTest, AnIdInUseIsRefusedAndItsOwnerGoesOn) {
  CoreHarness h;
  const SequenceSpec spec = MakeSpec(RandomTokens(5, 20), 5);
  h.Handle(ServeCommand{1, spec});
  h.Handle(ServeCommand{1, spec});
  EXPECT_EQ(h[1].failed->code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(h.core.Load().waiting, 1);
}

TEST(BoundsTest, NoStepExceedsTheTokenBudget) {
  CoreHarness h({.pages = 64}, {.token_budget = 24, .prefill_chunk = 10});
  for (SeqId id = 1; id <= 8; ++id) h.Handle(ServeCommand{id, MakeSpec(RandomTokens(id, 60), 20)});
  h.RunUntilIdle();
  EXPECT_LE(h.runner.largest_step(), 24);
  for (SeqId id = 1; id <= 8; ++id) EXPECT_EQ(h[id].tokens.size(), 20u);
}

TEST(DeadlineTest, FailsWhoeverIsLateInAnyState) {
  CoreHarness h({.pages = 8, .max_context = 128},
                {.token_budget = 16, .max_running = 1, .prefill_chunk = 16});
  SequenceSpec spec = MakeSpec(RandomTokens(6, 40), 60);
  spec.deadline = h.now + absl::Seconds(2);
  h.Handle(ServeCommand{1, spec});
  spec.deadline = h.now + absl::Seconds(1);
  h.Handle(ServeCommand{2, spec});  // waits behind the first
  spec.deadline = h.now;
  h.Handle(ServeCommand{3, spec});
  EXPECT_EQ(h[3].failed->code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(h.core.Step(h.now));
  EXPECT_EQ(h.core.NextDeadline(), h.now + absl::Seconds(1));
  h.now += absl::Seconds(1);
  ASSERT_TRUE(h.core.Step(h.now));
  EXPECT_EQ(h[2].failed->code(), absl::StatusCode::kDeadlineExceeded);
  h.now += absl::Seconds(1);
  EXPECT_TRUE(h.core.Step(h.now));
  EXPECT_EQ(h[1].failed->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(h.AtRest());
  EXPECT_EQ(h.core.NextDeadline(), absl::InfiniteFuture());
}

TEST(FailureTest, ADeviceErrorFailsTheStepsSequencesAndNoOthers) {
  CoreHarness h({}, {.max_running = 2});
  for (SeqId id = 1; id <= 3; ++id) h.Handle(ServeCommand{id, MakeSpec(RandomTokens(id, 20), 5)});
  h.runner.FailNext(absl::InternalError("out of order"));
  h.RunUntilIdle();
  EXPECT_EQ(h[1].failed->message(), "out of order");
  EXPECT_EQ(h[2].failed->message(), "out of order");
  EXPECT_EQ(h[3].tokens.size(), 5u);
  EXPECT_TRUE(h.AtRest());
}

TEST(FailureTest, NaNLogitsFailTheirSequenceAlone) {
  CoreHarness h;
  for (SeqId id = 1; id <= 2; ++id) h.Handle(ServeCommand{id, MakeSpec(RandomTokens(id, 20), 5)});
  h.runner.PoisonNext();
  h.RunUntilIdle();
  EXPECT_EQ(h[1].failed->code(), absl::StatusCode::kInternal);
  EXPECT_EQ(h[2].tokens.size(), 5u);
}

TEST(PressureTest, TheYoungestOfTheLowestPriorityGivesWay) {
  CoreHarness h({.pages = 9, .max_context = 128});
  SequenceSpec low = MakeSpec(RandomTokens(1, 30), 90);
  SequenceSpec high = MakeSpec(RandomTokens(2, 30), 90);
  high.priority = 1;
  h.Handle(ServeCommand{1, low});
  h.Handle(ServeCommand{2, high});
  while (h.core.Load().preemptions == 0) ASSERT_TRUE(h.core.Step(h.now));
  const size_t low_had = h[1].tokens.size();
  while (!h[2].over()) ASSERT_TRUE(h.core.Step(h.now));
  EXPECT_EQ(h[1].tokens.size(), low_had);
  h.RunUntilIdle();
  EXPECT_EQ(h[1].tokens, Undisturbed({}, low));
  EXPECT_EQ(h[2].tokens, Undisturbed({}, high));
}

TEST(PressureTest, ADecodeStallsRatherThanGivesWayToReservationsAlone) {
  CoreHarness h({.pages = 8, .max_context = 128});
  const SequenceSpec spec = MakeSpec(RandomTokens(3, 20), 80);
  h.Handle(ServeCommand{1, spec});
  ASSERT_TRUE(h.core.Step(h.now));
  h.Handle(ReserveCommand{2, MakeSpec(RandomTokens(4, 80), 20)});
  ASSERT_TRUE(h[2].reserved.has_value());
  h.RunUntilIdle();
  EXPECT_FALSE(h[1].over());
  EXPECT_EQ(h.core.Load().preemptions, 0);
  EXPECT_FALSE(h.core.HasWork());
  h.Handle(CancelCommand{2, true});
  h.RunUntilIdle();
  EXPECT_EQ(h[1].tokens, Undisturbed({}, spec));
}

TEST(PressureTest, AdoptedSequencesGiveWayLikeAnyOther) {
  CoreHarness h({.pages = 9, .max_context = 128});
  std::vector<SequenceSpec> specs;
  for (SeqId id = 1; id <= 3; ++id) {
    specs.push_back(MakeSpec(RandomTokens(id, 30), 60));
    h.Handle(ReserveCommand{id, specs.back()});
    ASSERT_TRUE(h[id].reserved.has_value());
  }
  for (SeqId id = 1; id <= 3; ++id) {
    h.runner.Fill(specs[id - 1].tokens, h[id].reserved->pages);
    h.Handle(AdoptCommand{id, Undisturbed({}, specs[id - 1])[0]});
  }
  h.RunUntilIdle();
  EXPECT_GT(h.core.Load().preemptions, 0);
  for (SeqId id = 1; id <= 3; ++id) EXPECT_EQ(h[id].tokens, Undisturbed({}, specs[id - 1]));
}

}  // namespace
}  // namespace baton
