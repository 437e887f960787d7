#include "tools/chaos/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace baton::chaos {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const ClusterShape kCluster = {.prefill = 1, .decode = 3, .kv_pool_mb = 1, .kv_disk_mb = 1};

FaultSpec Random() {
  RandomFaults random;
  random.kinds = {FaultKind::kKill, FaultKind::kStop, FaultKind::kPartition};
  random.targets = {"decode", "prefill-0"};
  random.per_minute = 30;
  random.from = absl::Seconds(5);
  random.until = absl::Minutes(10);
  return {{}, random};
}

TEST(ScheduleTest, TheSeedDecides) {
  const auto one = MakeSchedule(Random(), kCluster, 7), again = MakeSchedule(Random(), kCluster, 7),
             other = MakeSchedule(Random(), kCluster, 8);
  ASSERT_TRUE(one.ok() && again.ok() && other.ok()) << one.status();
  EXPECT_EQ(*one, *again);
  EXPECT_NE(one->faults, other->faults);
}

TEST(ScheduleTest, RandomFaultsKeepToWhatWasAsked) {
  FaultSpec spec = Random();
  spec.random->together = 1;
  const auto schedule = MakeSchedule(spec, kCluster, 3);
  ASSERT_TRUE(schedule.ok());
  EXPECT_GT(schedule->faults.size(), 50u);
  std::set<FaultKind> kinds;
  std::set<std::string> targets;
  absl::Duration free_at;
  for (const Fault& fault : schedule->faults) {
    kinds.insert(fault.kind);
    targets.insert(fault.target);
    EXPECT_GE(fault.at, absl::Seconds(5));
    EXPECT_LT(fault.at, absl::Minutes(10));
    EXPECT_GE(fault.at, free_at) << "one at a time: " << Describe(fault);
    free_at = fault.at + (Ends(fault.kind) ? fault.restart_after : fault.lasting);
    EXPECT_NE(fault.peer, fault.target);
    EXPECT_LE(fault.lasting, absl::Seconds(3));
  }
  EXPECT_EQ(kinds.size(), 3u);
  EXPECT_THAT(targets, ElementsAre("decode-0", "decode-1", "decode-2", "prefill-0"));
}

TEST(ScheduleTest, SeveralAtATimeNeverStrikeOneProcessTwice) {
  FaultSpec spec = Random();
  spec.random->together = 3;
  spec.random->per_minute = 600;
  const auto schedule = MakeSchedule(spec, kCluster, 3);
  ASSERT_TRUE(schedule.ok());
  std::map<std::string, absl::Duration> busy_until;
  bool overlapped = false;
  absl::Duration last_end;
  for (const Fault& fault : schedule->faults) {
    EXPECT_GE(fault.at, busy_until[fault.target]);
    busy_until[fault.target] = fault.at + (Ends(fault.kind) ? fault.restart_after : fault.lasting);
    overlapped |= fault.at < last_end;
    last_end = std::max(last_end, busy_until[fault.target]);
  }
  EXPECT_TRUE(overlapped);
}

TEST(ScheduleTest, AProcessThatStaysDeadIsNotStruckAgain) {
  FaultSpec spec = Random();
  spec.random->kinds = {FaultKind::kKill};
  spec.random->together = 64;
  ClusterShape cluster = kCluster;
  cluster.restart_after = absl::InfiniteDuration();
  const auto schedule = MakeSchedule(spec, cluster, 3);
  ASSERT_TRUE(schedule.ok());
  EXPECT_EQ(schedule->faults.size(), 4u);
}

TEST(ScheduleTest, FixedAndRandomAreMergedByTime) {
  FaultSpec spec = Random();
  spec.fixed = {{.at = absl::Minutes(5), .kind = FaultKind::kTerminate, .target = "router"},
                {.at = absl::Seconds(1), .kind = FaultKind::kKill, .target = "kv"}};
  const auto schedule = MakeSchedule(spec, kCluster, 3);
  ASSERT_TRUE(schedule.ok());
  EXPECT_EQ(schedule->faults[0].target, "kv");
  EXPECT_TRUE(std::is_sorted(schedule->faults.begin(), schedule->faults.end(),
                             [](const Fault& a, const Fault& b) { return a.at < b.at; }));
}

TEST(ScheduleTest, ARandomKindThatNoTargetCanSufferIsRefused) {
  FaultSpec spec = Random();
  spec.random->kinds = {FaultKind::kFullDisk};
  EXPECT_THAT(MakeSchedule(spec, kCluster, 1).status().message(), HasSubstr("full_disk"));
}

TEST(ScheduleTest, JsonBringsItBack) {
  const Schedule schedule{
      7,
      {{absl::Milliseconds(1500), FaultKind::kKill, "decode-1", "", {}, 0, absl::InfiniteDuration()},
       {absl::Nanoseconds(2000000001), FaultKind::kLoss, "router", "all", absl::Seconds(90), 12.5},
       {absl::Seconds(3), FaultKind::kTerminate, "prefill-0", "", {}, 0, absl::Milliseconds(20)}}};
  const auto back = ParseSchedule(ToJson(schedule));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, schedule);
  const auto drawn = MakeSchedule(Random(), kCluster, 11);
  EXPECT_EQ(*ParseSchedule(ToJson(*drawn)), *drawn);
  EXPECT_EQ(*ParseSchedule(ToJson(Schedule{})), Schedule{});
}

TEST(ScheduleTest, BadJsonIsRefused) {
  const std::string head = R"({"format": "baton-faults-1", "faults": )";
  for (const auto& [text, what] : std::vector<std::pair<std::string, std::string>>{
           {"", "not a fault schedule"},
           {"[]", "not a fault schedule"},
           {R"({"format": "baton-run-1", "faults": []})", "not a fault schedule"},
           {head + "3}", "must be a list"},
           {head + "[3]}", "fault 1: not an object"},
           {head + R"([{"kind": "melt", "target": "kv"}]})", "no fault 'melt'"},
           {head + R"([{"kind": "kill"}]})", "no target"},
           {head + R"([{"kind": "kill", "target": "kv", "at": "soon"}]})", "at must be a duration"},
           {head + R"([{"kind": "kill", "target": "kv", "at": "-1s"}]})", "at must be a duration"},
           {head + R"([{"kind": "loss", "target": "kv", "amount": "x"}]})", "amount must be a number"}}) {
    EXPECT_THAT(ParseSchedule(text).status().message(), HasSubstr(what)) << text;
  }
}

TEST(ScheduleTest, AReplayedScheduleIsCheckedAgainstTheCluster) {
  const ClusterShape small = {.prefill = 0, .decode = 1};
  const Fault slow{.kind = FaultKind::kSlowDisk, .target = "kv", .lasting = absl::Seconds(1), .amount = 9};
  EXPECT_THAT(CheckSchedule({0, {slow}}, small).message(), HasSubstr("no process 'kv'"));
  EXPECT_TRUE(CheckSchedule({0, {slow}}, kCluster).ok());
  Fault loss{.kind = FaultKind::kLoss, .target = "decode-0", .peer = "all", .lasting = absl::Seconds(1)};
  loss.amount = 101;
  EXPECT_THAT(CheckSchedule({0, {loss}}, small).message(), HasSubstr("0 to 100"));
  loss = {.kind = FaultKind::kPartition, .target = "router", .peer = "router", .lasting = absl::Seconds(1)};
  EXPECT_THAT(CheckSchedule({0, {loss}}, small).message(), HasSubstr("from itself"));
}

TEST(ScheduleTest, FaultsAreSaidInWords) {
  EXPECT_EQ(Describe({.kind = FaultKind::kKill, .target = "decode-1"}), "kill -9 decode-1");
  EXPECT_EQ(
      Describe({.kind = FaultKind::kPartition, .target = "a", .peer = "b", .lasting = absl::Seconds(5)}),
      "partition a | b for 5s");
  EXPECT_EQ(
      Describe({.kind = FaultKind::kPartition, .target = "a", .peer = "all", .lasting = absl::Seconds(5)}),
      "partition a | all for 5s");
}

}  // namespace
}  // namespace baton::chaos
