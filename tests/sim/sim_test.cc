#include <cstdio>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "tests/sim/sim_args.h"

namespace baton::sim {
namespace {

class SeedsTest : public testing::Test {
 public:
  explicit SeedsTest(const SimArgs& args) : args_(args) {}

  void TestBody() override {
    const SeedSummary summary = RunSeeds(args_.range);
    std::printf("%s%s\n", summary.coverage.Table().c_str(), summary.ToString().c_str());
    for (const WorldResult& result : summary.failures) {
      ADD_FAILURE() << "seed " << result.seed << ": " << result.failure
                    << "\n  replay: " << ReplayCommand(args_.program, result.seed, Mutation::kNone);
    }
    EXPECT_GE(summary.fewest_events, 200u);

    const uint64_t held = summary.coverage.count("calm stream/held");
    const uint64_t recomputed = summary.coverage.count("calm stream/recomputed");
    EXPECT_EQ(recomputed, 0u) << "without faults nothing is recomputed";

    if (args_.range.count < kJudgedFrom)
      GTEST_SKIP() << "coverage is judged from " << kJudgedFrom << " seeds on";
    EXPECT_GE(held, 1000u);
    EXPECT_THAT(summary.coverage.Missing(RequiredCoverage()), testing::IsEmpty())
        << "never reached by any seed";
  }

 private:
  static constexpr uint64_t kJudgedFrom = 10000;
  const SimArgs args_;
};

class DeterminismTest : public testing::Test {
 public:
  void TestBody() override {
    Coverage coverage;
    for (uint64_t seed = 1; seed <= 60; ++seed) {
      const WorldResult once = RunSeed(seed, Mutation::kNone, &coverage, false);
      const WorldResult again = RunSeed(seed, Mutation::kNone, &coverage, false);
      EXPECT_EQ(once.trace_hash, again.trace_hash) << "seed " << seed;
      EXPECT_EQ(once.events, again.events) << "seed " << seed;
      EXPECT_NE(once.trace_hash, RunSeed(seed + 1000, Mutation::kNone, &coverage, false).trace_hash);
    }
  }
};

// The simulator is worth something only if it finds errors: each mutation, put into its glue, must be found.
class MutationTest : public testing::Test {
 public:
  MutationTest(const SimArgs& args, Mutation mutation) : args_(args), mutation_(mutation) {}

  void TestBody() override {
    SeedRange range = args_.range;
    range.count = 4000;
    range.mutation = mutation_;
    range.stop_after_failures = 1;
    const SeedSummary summary = RunSeeds(range);
    ASSERT_FALSE(summary.failures.empty()) << "not found in " << summary.seeds << " seeds";
    const WorldResult& found = summary.failures.front();
    std::printf("found within %d seeds: %s\n  %s\n", static_cast<int>(summary.seeds), found.failure.c_str(),
                ReplayCommand(args_.program, found.seed, mutation_).c_str());
  }

 private:
  const SimArgs args_;
  const Mutation mutation_;
};

template <typename Make>
void Register(const char* suite, const std::string& name, Make make) {
  testing::RegisterTest(suite, name.c_str(), nullptr, nullptr, __FILE__, __LINE__, make);
}

}  // namespace

void RegisterSimulatorTests(const SimArgs& args) {
  Register("Seeds", "KeepEveryInvariant", [args]() -> testing::Test* { return new SeedsTest(args); });
  Register("Seeds", "GiveTheSameTraceAgain", []() -> testing::Test* { return new DeterminismTest; });
  for (int i = 1; i < kMutations; ++i) {
    const auto mutation = static_cast<Mutation>(i);
    Register("MutationIsFound", absl::StrReplaceAll(MutationName(mutation), {{" ", "_"}}),
             [args, mutation]() -> testing::Test* { return new MutationTest(args, mutation); });
  }
}

}  // namespace baton::sim
