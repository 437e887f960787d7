#include "tools/chaos/injector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/unit/tools/chaos/fake_driver.h"
#include "tools/chaos/fault_line.h"
#include "tools/chaos/fault_run.h"

namespace baton::chaos {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Fault Make(FaultKind kind, const std::string& target, absl::Duration at = {}, absl::Duration lasting = {}) {
  return {.at = at, .kind = kind, .target = target, .lasting = lasting, .restart_after = absl::Seconds(2)};
}

TEST(FaultLineTest, StepsComeInTheirOrderAndOnce) {
  FaultLine line({0,
                  {Make(FaultKind::kStop, "a", absl::Seconds(1), absl::Seconds(2)),
                   Make(FaultKind::kKill, "b", absl::Seconds(2)),
                   Make(FaultKind::kStop, "c", absl::Seconds(3), absl::Seconds(1))}});
  EXPECT_EQ(line.NextDue(), absl::Seconds(1));
  EXPECT_THAT(line.Take(absl::Milliseconds(999)), IsEmpty());
  EXPECT_THAT(line.Take(absl::Seconds(2)), ElementsAre(FaultStep{0, true}, FaultStep{1, true}));
  EXPECT_THAT(line.Take(absl::Seconds(2)), IsEmpty());
  EXPECT_THAT(line.Take(absl::Seconds(9)),
              ElementsAre(FaultStep{0, false}, FaultStep{2, true}, FaultStep{2, false}))
      << "at 3 s one ends before the other begins";
  EXPECT_EQ(line.NextDue(), std::nullopt);
}

TEST(InjectorTest, EachKindIsToldToTheDriver) {
  FakeDriver driver({"decode-0", "kv"});
  Injector injector(driver);
  Fault loss = Make(FaultKind::kLoss, "decode-0");
  loss.peer = "all";
  loss.amount = 5;
  Fault slow = Make(FaultKind::kSlowDisk, "kv");
  slow.amount = 30;
  const Fault faults[] = {Make(FaultKind::kKill, "decode-0"), Make(FaultKind::kTerminate, "decode-0"), loss,
                          slow, Make(FaultKind::kFullDisk, "kv")};
  for (size_t i = 0; i < std::size(faults); ++i) EXPECT_TRUE(injector.Begin(i, faults[i]).ok());
  for (size_t i = 0; i < std::size(faults); ++i) EXPECT_TRUE(injector.End(i).ok());
  EXPECT_THAT(driver.told,
              ElementsAre(absl::StrCat("end ", SIGKILL, " decode-0 2s"),
                          absl::StrCat("end ", SIGTERM, " decode-0 2s"), "network decode-0|all:5",
                          "disk kv 30", "disk kv 30 full", "network", "disk kv 0 full", "disk kv 0"));
}

TEST(InjectorTest, WhatOverlapsHoldsUntilTheLastEnds) {
  FakeDriver driver({"a"});
  Injector injector(driver);
  const Fault stop = Make(FaultKind::kStop, "a");
  Fault cut = Make(FaultKind::kPartition, "a");
  cut.peer = "b";
  for (size_t i : {0, 1}) EXPECT_TRUE(injector.Begin(i, stop).ok());
  EXPECT_TRUE(injector.Begin(2, cut).ok());
  cut.peer = "c";
  EXPECT_TRUE(injector.Begin(3, cut).ok());
  driver.told.clear();
  for (size_t i : {0, 2, 1, 3}) EXPECT_TRUE(injector.End(i).ok());
  EXPECT_THAT(driver.told, ElementsAre("network a|c:100", absl::StrCat("signal ", SIGCONT, " a"), "network"));
}

TEST(InjectorTest, EverythingIsUndoneWhenItGoes) {
  FakeDriver driver({"a", "kv"});
  {
    Injector injector(driver);
    ASSERT_TRUE(injector.Begin(0, Make(FaultKind::kStop, "a")).ok());
    ASSERT_TRUE(injector.Begin(1, Make(FaultKind::kFullDisk, "kv")).ok());
    driver.told.clear();
  }
  EXPECT_THAT(driver.told, ElementsAre(absl::StrCat("signal ", SIGCONT, " a"), "disk kv 0"));
}

TEST(InjectorTest, WhatCouldNotBeDoneIsSaidAndNotLeftHalfDone) {
  FakeDriver driver({"a"});
  driver.answer = absl::FailedPreconditionError("no networks");
  Fault cut = Make(FaultKind::kPartition, "a");
  cut.peer = "all";
  Injector injector(driver);
  EXPECT_EQ(injector.Begin(0, cut).message(), "no networks");
  EXPECT_THAT(driver.told, ElementsAre("network a|all:100", "network"));
}

TEST(FaultRunTest, MarksSayWhatHappenedWhen) {
  FakeDriver driver({"a", "b"});
  const SteadyClock clock;
  const Schedule schedule{0,
                          {Make(FaultKind::kStop, "a", absl::Milliseconds(20), absl::Milliseconds(40)),
                           Make(FaultKind::kKill, "b", absl::Milliseconds(30)),
                           Make(FaultKind::kStop, "b", absl::Hours(1), absl::Seconds(1))}};
  FaultRun run(driver, schedule, clock.Now());
  const MonoTime deadline = clock.Now() + absl::Seconds(20);
  while (driver.Told().size() < 3 && clock.Now() < deadline) std::this_thread::yield();
  const std::vector<FaultMark> marks = run.Stop();
  ASSERT_EQ(marks.size(), 3u);
  EXPECT_EQ(marks[0].failed, "");
  EXPECT_GE(marks[0].began_s, 0.02);
  ASSERT_TRUE(marks[0].ended_s.has_value());
  EXPECT_GE(*marks[0].ended_s, 0.06);
  EXPECT_GE(marks[1].began_s, 0.03);
  EXPECT_EQ(marks[2].failed, "the load was over before");
}

TEST(FaultRunTest, StoppingUndoesWhatLasts) {
  FakeDriver driver({"a"});
  const SteadyClock clock;
  FaultRun run(driver, {0, {Make(FaultKind::kStop, "a", {}, absl::Hours(1))}}, clock.Now());
  const MonoTime deadline = clock.Now() + absl::Seconds(20);
  while (driver.Told().empty() && clock.Now() < deadline) std::this_thread::yield();
  const std::vector<FaultMark> marks = run.Stop();
  EXPECT_TRUE(marks[0].ended_s.has_value());
  EXPECT_EQ(driver.told.back(), absl::StrCat("signal ", SIGCONT, " a"));
}

}  // namespace
}  // namespace baton::chaos
