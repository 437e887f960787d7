#include "tools/chaos/shrink.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"

namespace baton::chaos {
namespace {

Schedule Many(int count) {
  Schedule schedule;
  for (int i = 0; i < count; ++i) {
    schedule.faults.push_back({.at = absl::Seconds(i),
                               .kind = i % 2 == 0 ? FaultKind::kKill : FaultKind::kStop,
                               .target = absl::StrCat("decode-", i),
                               .lasting = absl::Seconds(i % 2 == 0 ? 0 : 8)});
  }
  return schedule;
}

bool Has(const Schedule& schedule, const std::string& target) {
  return std::any_of(schedule.faults.begin(), schedule.faults.end(),
                     [&](const Fault& fault) { return fault.target == target; });
}

using Fails = std::function<bool(const Schedule&)>;

Schedule Shrink(const Schedule& failing, const Fails& fails, int most_runs, int* runs = nullptr) {
  Shrinker shrinker(failing, most_runs);
  while (const auto next = shrinker.Next()) shrinker.Report(fails(*next));
  if (runs != nullptr) *runs = shrinker.runs();
  return shrinker.smallest();
}

TEST(ShrinkTest, OneGuiltyFaultIsFoundAmongMany) {
  int runs = 0;
  const Schedule small = Shrink(
      Many(64), [](const Schedule& s) { return Has(s, "decode-20"); }, 1000, &runs);
  ASSERT_EQ(small.faults.size(), 1u);
  EXPECT_EQ(small.faults[0].target, "decode-20");
  EXPECT_LE(runs, 20);
}

TEST(ShrinkTest, TwoThatFailOnlyTogetherAreKept) {
  const Fails fails = [](const Schedule& s) { return Has(s, "decode-2") && Has(s, "decode-60"); };
  const Schedule small = Shrink(Many(64), fails, 1000);
  ASSERT_EQ(small.faults.size(), 2u);
  EXPECT_TRUE(fails(small));
}

TEST(ShrinkTest, AnySetIsMinimalAtItsEnd) {
  std::mt19937_64 dice(17);
  for (int round = 0; round < 200; ++round) {
    const int count = 1 + static_cast<int>(dice() % 20);
    std::set<std::string> guilty;
    for (size_t i = 0; i < 1 + dice() % 4; ++i) guilty.insert(absl::StrCat("decode-", dice() % count));
    const Fails fails = [&](const Schedule& s) {
      return std::all_of(guilty.begin(), guilty.end(), [&](const std::string& name) { return Has(s, name); });
    };
    const Schedule small = Shrink(Many(count), fails, 100000);
    EXPECT_TRUE(fails(small));
    EXPECT_EQ(small.faults.size(), guilty.size());
  }
}

TEST(ShrinkTest, LastingFaultsBecomeShorterWhileTheRunStillFails) {
  const Fails fails = [](const Schedule& s) {
    return s.faults.size() == 2 && s.faults[1].lasting >= absl::Seconds(1);
  };
  const Schedule small = Shrink(Many(2), fails, 1000);
  EXPECT_EQ(small.faults[1].lasting, absl::Seconds(1));
}

TEST(ShrinkTest, ARunThatFailsWithoutFaultsShrinksToNone) {
  int runs = 0;
  EXPECT_TRUE(Shrink(
                  Many(8), [](const Schedule&) { return true; }, 1000, &runs)
                  .faults.empty());
  EXPECT_EQ(runs, 1);
}

TEST(ShrinkTest, TheNumberOfRunsIsBoundedAndTheBestIsKept) {
  int runs = 0;
  const Fails fails = [](const Schedule& s) { return Has(s, "decode-3"); };
  const Schedule small = Shrink(Many(1024), fails, 5, &runs);
  EXPECT_EQ(runs, 5);
  EXPECT_TRUE(fails(small));
  EXPECT_LT(small.faults.size(), 1024u);
}

TEST(ShrinkTest, AFlakyFailureThatIsNeverSeenAgainKeepsTheWhole) {
  EXPECT_EQ(Shrink(
                Many(4), [](const Schedule&) { return false; }, 1000),
            Many(4));
}

}  // namespace
}  // namespace baton::chaos
