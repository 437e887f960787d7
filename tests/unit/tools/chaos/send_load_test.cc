#include "tools/chaos/send_load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/chaos/reference_run.h"

namespace baton::chaos {
namespace {

TEST(PlanLoadTest, SaysWhatTheScenarioSays) {
  LoadSpec spec;
  spec.arrivals = "constant";
  spec.duration = absl::Seconds(10);
  spec.prompt_tokens = {10, 20};
  spec.output_tokens = {7, 7};
  spec.tenants = {{"a", 1, 2, {5, 5}, {3, 3}}};
  spec.cancel_share = 1;
  spec.cancel_after_tokens = 2;
  const auto plan = PlanLoad(spec, 4);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_NEAR(static_cast<double>(plan->requests.size()), 40, 1);
  EXPECT_EQ(plan->requests[3].tenant, "a");
  EXPECT_EQ(plan->requests[3].priority, 2);
  EXPECT_EQ(plan->requests[3].max_tokens, 3);
  EXPECT_EQ(plan->requests[3].cancel_after, 2);
  EXPECT_TRUE(plan->requests[3].ignore_eos);
}

TEST(PlanLoadTest, EveryKindOfArrival) {
  for (const char* kind : {"constant", "poisson", "gamma", "ramp"}) {
    LoadSpec spec;
    spec.arrivals = kind;
    spec.rate_to = 8;
    spec.burstiness = 4;
    EXPECT_TRUE(PlanLoad(spec, 2).ok()) << kind;
  }
  LoadSpec trace;
  trace.arrivals = "trace";
  trace.trace = testing::TempDir() + "/none.jsonl";
  trace.trace_format = "mooncake";
  EXPECT_TRUE(absl::IsNotFound(PlanLoad(trace, 2).status())) << PlanLoad(trace, 2).status();
}

TEST(PlanLoadTest, TheSeedDecides) {
  LoadSpec spec;
  spec.prompt_tokens = {10, 2000};
  const auto one = PlanLoad(spec, 4), again = PlanLoad(spec, 4);
  spec.seed = 2;
  const auto other = PlanLoad(spec, 4);
  EXPECT_EQ(one->requests[0].prompt, again->requests[0].prompt);
  EXPECT_EQ(one->requests[0].at, again->requests[0].at);
  EXPECT_NE(one->requests[0].prompt, other->requests[0].prompt);
}

class ToStreamTest : public ::testing::Test {
 protected:
  ToStreamTest() {
    record_.index = 3;
    record_.scheduled = start_ + absl::Seconds(1);
    record_.sent = start_ + absl::Seconds(2);
    record_.ended = start_ + absl::Seconds(5);
    record_.arrivals = {{start_ + absl::Seconds(3), 1}, {start_ + absl::Seconds(4), 2}};
    record_.token_ids = {7, 8, 9};
    record_.workers = {"prefill-0, decode-1"};
    record_.outcome = load::Outcome::kCompleted;
    record_.finish_reason = "length";
  }
  StreamRecord Stream() const { return ToStream(record_, start_, true); }
  MonoTime start_ = absl::UnixEpoch() + absl::Hours(1);
  load::StreamRecord record_;
};

TEST_F(ToStreamTest, AWholeStream) {
  const StreamRecord stream = Stream();
  EXPECT_TRUE(stream.Finished());
  EXPECT_EQ(stream.index, 3u);
  EXPECT_EQ(stream.sent_s, 2);
  EXPECT_THAT(stream.token_s, testing::ElementsAre(3, 4));
  EXPECT_EQ(stream.ended_s, 5);
  EXPECT_THAT(stream.workers, testing::ElementsAre("prefill-0, decode-1"));
  EXPECT_EQ(stream.tokens.size(), 3u);
}

TEST_F(ToStreamTest, ABrokenOne) {
  record_.outcome = load::Outcome::kMidStream;
  record_.error = "the worker is gone";
  record_.finish_reason.clear();
  EXPECT_EQ(Stream().error, "mid_stream: the worker is gone");
  EXPECT_FALSE(Stream().Finished());
}

TEST_F(ToStreamTest, OneThatNeverEnded) {
  record_.outcome = load::Outcome::kUnfinished;
  EXPECT_FALSE(Stream().ended_s.has_value());
}

TEST_F(ToStreamTest, OneThatTheClientCancelled) {
  record_.outcome = load::Outcome::kCancelled;
  EXPECT_TRUE(Stream().cancelled);
  EXPECT_EQ(Stream().error, "");
}

TEST_F(ToStreamTest, OneThatWasNeverSent) {
  record_.outcome = load::Outcome::kNotSent;
  record_.sent = MonoTime();
  EXPECT_EQ(Stream().sent_s, 1);
  EXPECT_NE(Stream().error, "");
  EXPECT_TRUE(Stream().ended_s.has_value());
}

TEST(ReferenceTest, IsASingleEngineOfTheSameNumbers) {
  Scenario scenario;
  scenario.cluster.prefill = 3;
  scenario.cluster.ranks = 2;
  scenario.cluster.model = "tiny";
  scenario.cluster.worker_flags = {"--kv_dtype=bf16", "--pages=4"};
  const Scenario reference = ReferenceScenario(scenario);
  EXPECT_EQ(reference.cluster.prefill, 0);
  EXPECT_EQ(reference.cluster.decode, 1);
  EXPECT_EQ(reference.cluster.ranks, 1);
  EXPECT_EQ(reference.cluster.model, "tiny");
  EXPECT_EQ(reference.cluster.worker_flags,
            (std::vector<std::string>{"--max_running=16", "--kv_dtype=bf16"}));
  EXPECT_TRUE(reference.faults.fixed.empty());
}

}  // namespace
}  // namespace baton::chaos
