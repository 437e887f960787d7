#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/load/bench_serve.h"
#include "tools/load/progress.h"
#include "tools/load/schedule.h"

namespace baton::load {
namespace {

using ::testing::HasSubstr;

const MonoTime kOrigin = absl::UnixEpoch() + absl::Hours(1);

double Found(double true_limit, SweepSpec spec, int* runs = nullptr) {
  Sweep sweep(spec);
  int count = 0;
  while (const auto rate = sweep.Next()) {
    sweep.Report(*rate <= true_limit);
    ++count;
  }
  if (runs != nullptr) *runs = count;
  return sweep.highest_met().value_or(0);
}

TEST(Sweep, FindsTheLimitFromBothSides) {
  for (const double limit : {0.3, 1.0, 5.3, 97.0, 1234.5}) {
    for (const double first : {1.0, 8.0, 300.0}) {
      int runs = 0;
      const double found = Found(limit, {.first_rate = first}, &runs);
      EXPECT_LE(found, limit);
      EXPECT_GE(found, limit * 0.94) << limit << " from " << first;
      EXPECT_LE(runs, 20);
    }
  }
}

TEST(Sweep, EndsAtItsBounds) {
  EXPECT_EQ(Found(1e9, {.first_rate = 10, .most_rate = 100}), 100);
  EXPECT_EQ(Found(0, {.most_runs = 6}), 0);
  int runs = 0;
  EXPECT_EQ(Found(0, {.first_rate = 8, .least_rate = 1.5}, &runs), 0);
  EXPECT_EQ(runs, 3);
}

TEST(Schedule, GivesWhatIsDueInOrder) {
  LoadPlan plan{.duration = absl::Seconds(10)};
  plan.requests.resize(4);
  plan.requests[0].at = absl::Seconds(2);
  plan.requests[1].at = absl::Seconds(1);
  plan.requests[2] = {.at = absl::Seconds(3), .after = 1};
  plan.requests[3] = {.at = absl::Seconds(3), .after = 2};
  ASSERT_TRUE(Schedule::Check(plan).ok());
  Schedule schedule(plan, kOrigin);
  EXPECT_EQ(schedule.TakeDue(kOrigin), std::nullopt);
  EXPECT_EQ(schedule.TakeDue(kOrigin + absl::Seconds(5))->index, 1u);
  EXPECT_EQ(schedule.TakeDue(kOrigin + absl::Seconds(5))->index, 0u);
  EXPECT_TRUE(schedule.Empty());
  schedule.Ended(0, kOrigin + absl::Seconds(4));  // nothing follows it
  EXPECT_TRUE(schedule.Empty());
  schedule.Ended(1, kOrigin + absl::Seconds(5));
  EXPECT_EQ(schedule.NextAt(), kOrigin + absl::Seconds(8));
  EXPECT_EQ(schedule.TakeDue(kOrigin + absl::Seconds(8))->index, 2u);
  schedule.Ended(2, kOrigin + absl::Seconds(9));  // its next turn would come after the end
  EXPECT_TRUE(schedule.Empty());
}

TEST(Schedule, RefusesPlansThatCannotBe) {
  for (const std::vector<int64_t>& after : std::vector<std::vector<int64_t>>{{0}, {-1, 2, -1}, {-1, 0, 0}}) {
    LoadPlan plan;
    plan.requests.resize(after.size());
    for (size_t i = 0; i < after.size(); ++i) plan.requests[i].after = after[i];
    EXPECT_EQ(Schedule::Check(plan).code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(Progress, ALineNowAndThen) {
  Progress progress(kOrigin, absl::Seconds(60), false);
  EXPECT_EQ(progress.Line(kOrigin + absl::Seconds(9), {}), std::nullopt);
  StreamRecord record;
  record.scheduled = kOrigin;
  record.arrivals = {{kOrigin + absl::Milliseconds(100), 1}};
  progress.Ended(record);
  const auto line = progress.Line(kOrigin + absl::Seconds(10), {5, 2, 3, 1, 400});
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(*line, "10 s of 60, 5 sent, 2 running, 3 done, 40 tokens/s, TTFT p50 100 ms, 1 errors");
  EXPECT_EQ(progress.Line(kOrigin + absl::Seconds(11), {}), std::nullopt);
  EXPECT_TRUE(Progress(kOrigin, absl::Seconds(60), true).Line(kOrigin + absl::Seconds(1), {}).has_value());
}

TEST(Bench, TheTableSaysWhatIsMissing) {
  RunResult run;
  run.rate = 4;
  run.summary.requests = 5;
  run.summary.errors["429"] = 2;
  run.summary.spreads["ttft_ms"] = {.count = 5, .mean = 12.5, .max = 20};
  const std::string table = FiguresTable(run);
  EXPECT_THAT(table, HasSubstr("errors: 2 of 429"));
  EXPECT_THAT(table, HasSubstr("12.5"));
  EXPECT_THAT(table, HasSubstr(" -"));
}

}  // namespace
}  // namespace baton::load
