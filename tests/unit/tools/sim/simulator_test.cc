#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tools/ctl/files.h"
#include "tools/sim/cache_pool.h"
#include "tools/sim/compare.h"
#include "tools/sim/output.h"
#include "tools/sim/rank.h"

namespace baton::simulator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

StepCurve H100() {
  return *ReadCurve(std::string(BATON_SOURCE_DIR) + "/tools/sim/curves/h100-8b.json");
}

TEST(Curve, IsTheSlowerOfArithmeticAndMemory) {
  const StepCurve curve{.fixed_s = 1, .token_s = 2, .pair_s = 0.5, .weights_s = 10, .context_s = 0.1};
  EXPECT_DOUBLE_EQ(curve.StepSeconds({.tokens = 1, .pairs = 2, .context = 10}), 12);
  EXPECT_DOUBLE_EQ(curve.StepSeconds({.tokens = 10, .pairs = 2, .context = 10}), 22);
}

TEST(Curve, FilesAreReadAndWhatIsWrongIsNamed) {
  for (const char* name : {"h100-8b", "h100x4-70b"}) {
    const auto curve = ReadCurve(std::string(BATON_SOURCE_DIR) + "/tools/sim/curves/" + name + ".json");
    ASSERT_TRUE(curve.ok()) << curve.status();
    EXPECT_EQ(curve->name, name);
  }
  EXPECT_THAT(ParseCurve(R"({"name": "x"})").status().message(), HasSubstr("'fixed_s' is missing"));
  EXPECT_THAT(ParseCurve(R"({"speed": 1})").status().message(), HasSubstr("'speed' is not known"));
  EXPECT_THAT(ParseCurve(R"({"token_s": -1})").status().message(), HasSubstr("out of range"));
  EXPECT_FALSE(ParseCurve("[").ok());
}

TEST(CachePool, SharesPublishedBlocksAndEvictsTheLeastRecentlyUsed) {
  CachePool pool(4);
  const std::vector<uint32_t> first = {1, 2}, second = {1, 3};
  CachePool::Hold a, b;
  ASSERT_TRUE(pool.Take(first, 3, 2, &a));
  pool.Publish(first, 2, &a);
  EXPECT_EQ(pool.Cached(second), 1u);
  EXPECT_FALSE(pool.Take(second, 4, 1, &b)) << "one page is left";
  ASSERT_TRUE(pool.Take(second, 2, 1, &b));
  EXPECT_EQ(b.shared, 1u);
  EXPECT_EQ(pool.free(), 0u);
  pool.Release(first, &a);
  pool.Release(second, &b);
  EXPECT_EQ(pool.used(), 0u);
  EXPECT_THAT(pool.TakeChange().stored, ElementsAre(1, 2));
  const std::vector<uint32_t> other = {7};
  ASSERT_TRUE(pool.Take(other, 3, 0, &a));
  EXPECT_EQ(pool.Cached(first), 1u) << "the last block of a chain goes first";
  EXPECT_THAT(pool.TakeChange().evicted, ElementsAre(2));
}

TEST(SimRank, ComputesInChunksDecodesAndPreemptsWhenPagesRunOut) {
  StepCurve curve = H100();
  curve.kv_tokens = 1024;
  SimRank rank(curve, 100, 16);
  rank.Enqueue({.request = 1, .prompt = 250, .answer = 400});
  rank.Enqueue({.request = 2, .prompt = 250, .answer = 400});
  int steps = 0, first_tokens = 0, finished = 0;
  while (rank.BeginStep() > 0 && ++steps < 5000) {
    const StepResult result = rank.EndStep();
    for (const StepResult::Chunk& chunk : result.chunks) first_tokens += chunk.last;
    finished += int(result.finished.size());
  }
  EXPECT_EQ(first_tokens, 2);
  EXPECT_EQ(finished, 2);
  EXPECT_GT(rank.preempted(), 0u) << "1,300 tokens do not fit 1,024";
  EXPECT_EQ(rank.pool().used(), 0u);
}

// Conversations whose next prompt repeats the last one.
Trace Conversations(size_t requests) {
  std::vector<load::TraceRow> rows;
  for (size_t i = 0; i < requests; ++i) {
    load::TraceRow& row = rows.emplace_back();
    row.at = absl::Milliseconds(300 * i);
    const size_t turn = i / 20 % 8 + 1;
    row.input_tokens = int64_t(turn * 1024 + 100);
    row.output_tokens = 50 + int64_t(i % 7) * 30;
    for (size_t block = 0; block < turn * 2; ++block)
      row.blocks.push_back((i % 20) * 1000 + i / 160 * 100000 + block);
  }
  return *PrepareTrace(rows, {});
}

RunOptions Options(const std::string& policy) {
  RunOptions options{.policy = policy};
  options.cluster.curve = H100();
  options.cluster.prefill = options.cluster.decode = 2;
  return options;
}

TEST(Simulation, EveryPolicyAnswersEveryRequestAndTheSameSeedGivesTheSame) {
  const Trace trace = Conversations(400);
  const std::vector<Request> requests = MakeRequests(trace, {.half = Half::kWhole, .rate = 4});
  for (const char* policy : {"round_robin", "power_of_two", "kv_cost", "slo"}) {
    const auto first = Simulate(Options(policy), requests, trace.block_tokens);
    const auto again = Simulate(Options(policy), requests, trace.block_tokens);
    ASSERT_TRUE(first.ok()) << first.status();
    EXPECT_EQ(first->rejected, 0) << policy;
    EXPECT_EQ(first->requests, 360) << "a tenth is warm-up";
    EXPECT_GT(first->CachedShare(), 0.1) << policy;
    ASSERT_EQ(first->outcomes.size(), again->outcomes.size());
    for (size_t i = 0; i < first->outcomes.size(); ++i) {
      EXPECT_EQ(first->outcomes[i].ttft_s, again->outcomes[i].ttft_s) << policy;
      EXPECT_EQ(first->outcomes[i].itl_s, again->outcomes[i].itl_s) << policy;
    }
  }
  EXPECT_FALSE(Simulate(Options("nonsense"), requests, trace.block_tokens).ok());
}

TEST(Simulation, AdmissionSendsAwayWhatCannotBeServedInTime) {
  const Trace trace = Conversations(400);
  const std::vector<Request> requests = MakeRequests(trace, {.half = Half::kWhole, .rate = 60});
  RunOptions options = Options("least_tokens");
  options.admission = true;
  const auto run = Simulate(options, requests, trace.block_tokens);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_GT(run->rejected, 0);
  EXPECT_LT(run->rejected, run->requests);
}

TEST(Requests, HalvesAreApartAndTheRateIsTheWantedOne) {
  const Trace trace = Conversations(200);
  const std::vector<Request> first = MakeRequests(trace, {.half = Half::kFirst, .rate = 10});
  const std::vector<Request> second = MakeRequests(trace, {.half = Half::kSecond, .rate = 10});
  EXPECT_EQ(first.size() + second.size(), 200u);
  EXPECT_NEAR(first.back().at_s, 10, 1);
  EXPECT_NE(MakeRequests(trace, {.rate = 10, .seed = 2})[5].at_s, second[5].at_s);
}

TEST(Output, SetsEachPolicyBesideTheBestOther) {
  const Trace trace = Conversations(60);
  CompareOptions options{.cluster = Options("").cluster, .policies = {"round_robin", "slo"}, .loads = {0.5}};
  options.seeds = 2;
  int runs = 0;
  const auto rows = Compare(options, trace, [&runs](int done, int) { runs = done; });
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(runs, 4);
  const Headline headline{
      .trace = "t<est>", .curve = "h100-8b", .half = "second half", .seeds = 2, .shares = true};
  EXPECT_THAT(ToText(headline, *rows), HasSubstr("round_robin"));
  EXPECT_THAT(ToJson(headline, *rows), HasSubstr("\"peer\": \"round_robin\""));
  const std::string html = ToHtml(headline, *rows);
  EXPECT_THAT(html, HasSubstr("<svg"));
  EXPECT_THAT(html, testing::Not(HasSubstr("t<est>")));
}

}  // namespace
}  // namespace baton::simulator
