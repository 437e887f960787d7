#include <cstdio>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "tests/sim/sim_args.h"

namespace baton::sim {
namespace {

TEST(Simulator, EverySeedKeepsEveryInvariant) {
  const SeedSummary summary = RunSeeds(Args().range);
  std::printf("%s%s\n", summary.coverage.Table().c_str(), summary.ToString().c_str());
  for (const WorldResult& result : summary.failures) {
    ADD_FAILURE() << "seed " << result.seed << ": " << result.failure
                  << "\n  replay: " << ReplayCommand(Args().program, result.seed, Mutation::kNone);
  }
  EXPECT_GE(summary.fewest_events, 200u);

  const uint64_t held = summary.coverage.count("calm stream/held");
  const uint64_t recomputed = summary.coverage.count("calm stream/recomputed");
  EXPECT_EQ(recomputed, 0u) << "without faults nothing is recomputed";
  EXPECT_GE(held * 100, (held + recomputed) * 99);

  if (summary.seeds < 10000) GTEST_SKIP() << "coverage is judged from 10,000 seeds on";
  EXPECT_GT(held, 1000u);
  EXPECT_THAT(summary.coverage.Missing(RequiredCoverage()), testing::IsEmpty())
      << "never reached by any seed";
}

TEST(Simulator, ASeedGivesTheSameTraceAgain) {
  Coverage coverage;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const WorldResult once = RunSeed(seed, Mutation::kNone, &coverage, false);
    const WorldResult again = RunSeed(seed, Mutation::kNone, &coverage, false);
    EXPECT_EQ(once.trace_hash, again.trace_hash) << "seed " << seed;
    EXPECT_EQ(once.events, again.events) << "seed " << seed;
    EXPECT_NE(once.trace_hash, RunSeed(seed + 1000, Mutation::kNone, &coverage, false).trace_hash);
  }
}

// The simulator is worth something only if it finds errors: each of these, put into its glue, must be found.
class MutationTest : public testing::TestWithParam<int> {};

TEST_P(MutationTest, IsFound) {
  const auto mutation = static_cast<Mutation>(GetParam());
  SeedRange range = Args().range;
  range.count = 4000;
  range.mutation = mutation;
  range.stop_after_failures = 1;
  const SeedSummary summary = RunSeeds(range);
  ASSERT_FALSE(summary.failures.empty())
      << MutationName(mutation) << " was not found in " << summary.seeds << " seeds";
  const WorldResult& found = summary.failures.front();
  std::printf("%s: found after %d seeds (%s): %s\n", MutationName(mutation), static_cast<int>(summary.seeds),
              ReplayCommand("sim_test", found.seed, mutation).c_str(), found.failure.c_str());
}

INSTANTIATE_TEST_SUITE_P(Simulator, MutationTest, testing::Range(1, kMutations), [](const auto& info) {
  return absl::StrReplaceAll(MutationName(static_cast<Mutation>(info.param)), {{" ", "_"}});
});

}  // namespace
}  // namespace baton::sim
