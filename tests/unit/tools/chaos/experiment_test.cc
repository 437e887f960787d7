#include "tools/chaos/experiment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/tools/chaos/fake_driver.h"
#include "tools/ctl/files.h"

namespace baton::chaos {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kIdle[] = R"({"workers":[{"healthy":true},{"healthy":true},{"healthy":true}]})";

std::unique_ptr<FakeDriver> IdleCluster() {
  auto driver =
      std::make_unique<FakeDriver>(std::vector<std::string>{"router", "prefill-0", "decode-0", "decode-1"});
  for (const ProcessView& process : driver->processes)
    driver->pages[process.name + "/metrics"] = "baton_pages{class=\"free\",rank=\"0\"} 8\n";
  driver->pages["router/baton/status"] = kIdle;
  return driver;
}

class ExperimentTest : public ::testing::Test {
 protected:
  ExperimentTest() {
    wish_.out_dir = testing::TempDir() + "/experiment_test";
    parts_.run.make_driver = [](const Scenario&, const std::string&) { return IdleCluster(); };
    parts_.run.load = [this](const Scenario& scenario, double rate, const std::string&, MonoTime,
                             const Progress&, const GivenUp&) -> absl::StatusOr<LoadOutcome> {
      runs_.push_back(absl::StrCat(scenario.variant, "@", rate));
      LoadOutcome outcome;
      outcome.result.summary.goodput_per_s = scenario.variant == "slow" ? 1 : 2;
      outcome.kept_schedule = kept_;
      outcome.lag = kept_ ? "" : "late";
      return outcome;
    };
    parts_.judge = [this](const Scenario&, const Evidence&, const std::string&) {
      return std::vector<CheckResult>{{"tokens", tokens_ok_, "3 of 4"}};
    };
  }
  absl::StatusOr<ExperimentOutcome> Run(const std::string& more) {
    const auto file = ParseScenario("name: x\nhypothesis: it is so\n" + more, false);
    EXPECT_TRUE(file.ok()) << file.status();
    file_ = *file;
    return RunExperiment(
        *file, wish_, parts_, [](const std::string&) {}, [this] { return interrupted_; });
  }
  ExperimentWish wish_;
  ExperimentParts parts_;
  ScenarioFile file_;
  std::vector<std::string> runs_;
  bool kept_ = true, tokens_ok_ = true, interrupted_ = false;
};

TEST_F(ExperimentTest, VariantsOfOneRateEachAreComparedThere) {
  const auto outcome =
      Run("variants: {fast: {load: {rate: 2}}, slow: {load: {rate: 8}}}\n"
          "compare: [{metric: goodput_per_s, left: slow, right: fast, at_least: 0.4}]\n");
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_THAT(runs_, ElementsAre("fast@2", "slow@8"));
  const auto& checks = outcome->record.checks;
  const auto compared = std::find_if(checks.begin(), checks.end(), [](const auto& check) {
    return check.name.find("slow / fast >= 0.4 at 8/s and 2/s") != std::string::npos;
  });
  ASSERT_NE(compared, checks.end());
  EXPECT_TRUE(compared->ok) << compared->detail;
}

TEST_F(ExperimentTest, EveryVariantAtEveryRateAsOftenAsAsked) {
  const auto outcome = Run("repeats: 2\nrates: [1, 2]\nvariants: {fast: {}, slow: {}}\n");
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_THAT(runs_,
              ElementsAre("fast@1", "fast@2", "slow@1", "slow@2", "fast@1", "fast@2", "slow@1", "slow@2"));
  EXPECT_EQ(outcome->record.runs.size(), 8u);
  EXPECT_EQ(outcome->record.runs[7].label, "slow");
  EXPECT_EQ(outcome->record.runs[7].rate, 2);
  EXPECT_EQ(outcome->record.runs[7].repeat, 1);
  EXPECT_EQ(outcome->verdict, Verdict::kAsExpected);
  EXPECT_EQ(outcome->record.held, true);
}

TEST_F(ExperimentTest, AVerdictBesideWhatWasExpected) {
  tokens_ok_ = false;
  EXPECT_EQ(Run("")->verdict, Verdict::kUnexpected);
  const auto expected = Run("expected: {result: fails, because: no replay}\n");
  EXPECT_EQ(expected->verdict, Verdict::kAsExpected);
  EXPECT_FALSE(expected->held);
  EXPECT_THAT(Describe(file_, *expected), HasSubstr("FAILED, as expected (no replay)"));
  EXPECT_THAT(Describe(file_, *expected), HasSubstr("FAILED  x at 1/s, 1: tokens: 3 of 4"));
  tokens_ok_ = true;
  const auto loud = Run("expected: {result: fails, because: no replay}\n");
  EXPECT_EQ(loud->verdict, Verdict::kUnexpected);
  EXPECT_THAT(Describe(file_, *loud),
              HasSubstr("HELD, but it was expected to fail (no replay): set `expected: holds`"));
}

TEST_F(ExperimentTest, ALateClientProvesNothing) {
  kept_ = false;
  const auto outcome = Run("");
  EXPECT_EQ(outcome->verdict, Verdict::kInconclusive);
  EXPECT_FALSE(outcome->record.held.has_value());
  EXPECT_THAT(Describe(file_, *outcome), HasSubstr("none: x at 1/s, 1: late"));
  EXPECT_EQ(Run("checks: {client_kept_schedule: false}\n")->verdict, Verdict::kAsExpected);
}

TEST_F(ExperimentTest, ComparisonsAreOfMedians) {
  const std::string variants =
      "variants: {fast: {}, slow: {}}\ncompare: [{metric: goodput_per_s, left: fast, right: slow, ";
  const auto held = Run(variants + "at_least: 1.5}]\n");
  EXPECT_EQ(held->verdict, Verdict::kAsExpected);
  ASSERT_EQ(held->record.rows.size(), 1u);
  EXPECT_EQ(held->record.rows[0].ratio, 2);
  EXPECT_EQ(held->record.rows[0].target, 1.5);
  EXPECT_EQ(Run(variants + "at_least: 2.5}]\n")->verdict, Verdict::kUnexpected);
  EXPECT_EQ(Run(variants + "at_least: 1, rate: 7}]\n")->verdict, Verdict::kUnexpected) << "no such rate ran";
  wish_.variant = "fast";
  EXPECT_EQ(Run(variants + "at_least: 2.5}]\n")->verdict, Verdict::kAsExpected)
      << "with one alone nothing is compared";
}

TEST_F(ExperimentTest, WaitsAtFaultsAreAFigureThatCanBeBounded) {
  FakeDriver* driver = nullptr;
  parts_.run.make_driver = [&driver](const Scenario&, const std::string&) {
    auto made = IdleCluster();
    driver = made.get();
    return made;
  };
  const auto load = parts_.run.load;
  parts_.run.load = [load, &driver](const Scenario& scenario, double rate, const std::string& url,
                                    MonoTime start, const Progress& progress, const GivenUp& given_up) {
    auto outcome = load(scenario, rate, url, start, progress, given_up);
    const SteadyClock clock;
    const MonoTime deadline = clock.Now() + absl::Seconds(60);
    while (driver->Told().size() < 2 && clock.Now() < deadline) std::this_thread::yield();
    StreamRecord& stream = outcome->streams.emplace_back();
    stream.sent_s = -60;  // longer ago than any fault
    stream.token_s = {-50, 3};
    return outcome;
  };
  double figure = 0;
  parts_.judge = [&](const Scenario&, const Evidence& evidence, const std::string&) {
    figure = evidence.figures.at("fault_gap_ms.max");
    return std::vector<CheckResult>{};
  };
  const auto outcome = Run("faults: [{at: 0s, kind: kill, target: decode-0}]\n");
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(figure, 53000);
  EXPECT_THAT(Describe(file_, *outcome), HasSubstr("LONGEST WAIT AT A FAULT"));
}

TEST_F(ExperimentTest, TheFaultsOfEachRunAreKeptAndReplayed) {
  const std::string random =
      "repeats: 2\nfaults: [{random: {kinds: [stop], targets: [decode], per_minute: 60, until: 20s}}]\n";
  ASSERT_TRUE(Run(random).ok());
  const auto first = ParseSchedule(*ctl::ReadFile(wish_.out_dir + "/x-1-0/faults.json"));
  const auto second = ParseSchedule(*ctl::ReadFile(wish_.out_dir + "/x-1-1/faults.json"));
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_GT(first->faults.size(), 3u);
  EXPECT_NE(first->faults, second->faults) << "repeats differ";
  wish_.replay = *first;
  ASSERT_TRUE(Run(random).ok());
  EXPECT_EQ(*ParseSchedule(*ctl::ReadFile(wish_.out_dir + "/x-1-1/faults.json")), *first);
}

TEST_F(ExperimentTest, WhatCannotBeFoundOutIsAnError) {
  wish_.variant = "none";
  EXPECT_THAT(Run("variants: {a: {}}\n").status().message(), HasSubstr("there are: a"));
  wish_.variant.reset();
  interrupted_ = true;
  EXPECT_TRUE(absl::IsCancelled(Run("").status()));
  interrupted_ = false;
  parts_.run.make_driver = [](const Scenario&, const std::string&) {
    auto driver = IdleCluster();
    driver->answer = absl::AbortedError("decode-0 died");
    return driver;
  };
  EXPECT_THAT(Run("").status().message(), HasSubstr("x at 1/s, 1: decode-0 died"));
}

TEST(FlattenTest, SummariesBecomeNames) {
  load::Summary summary;
  summary.spreads["ttft_ms"].p50 = 12;
  summary.spreads["ttft_ms"].count = 30;
  summary.errors = {{"429", 2}, {"timeout", 1}};
  summary.tenants["a"].goodput_per_s = 3;
  const auto figures = Flatten(summary);
  EXPECT_EQ(figures.at("ttft_ms.p50"), 12);
  EXPECT_EQ(figures.count("ttft_ms.p99"), 0u) << "too few samples";
  EXPECT_EQ(figures.at("errors"), 3);
  EXPECT_EQ(figures.at("errors.429"), 2);
  EXPECT_EQ(figures.at("tenants.a.goodput_per_s"), 3);
}

}  // namespace
}  // namespace baton::chaos
