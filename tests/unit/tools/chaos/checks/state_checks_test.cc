#include "tools/chaos/checks/state_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace baton::chaos {
namespace {

using ::testing::HasSubstr;

constexpr char kResident[] = "process_resident_memory_bytes";
constexpr char kHeld[] = "baton_router_handoffs_total{outcome=\"held\"}";
constexpr char kLost[] = "baton_router_handoffs_total{outcome=\"lost\"}";

class StateChecksTest : public ::testing::Test {
 protected:
  StateChecksTest() {
    evidence_.before = At(0, 60, 4);
    evidence_.during = {At(1, 10, 0), At(2, 0, 64)};
    evidence_.during[0].pages[0].classes["used"] = 54;
    evidence_.after = At(9, 50, 14);
    for (Snapshot* snapshot : {&evidence_.before, &evidence_.after}) {
      snapshot->metrics["decode-0"] = {{kResident, 100e6}, {"baton_calls_open", 0}};
      snapshot->metrics["router"] = {{kResident, 50e6}, {kHeld, 5}, {kLost, 1}};
    }
    evidence_.processes = {{.name = "router", .role = "router"}, {.name = "decode-0", .role = "decode"}};
  }
  static Snapshot At(double at_s, int64_t free, int64_t cached) {
    Snapshot snapshot;
    snapshot.at_s = at_s;
    snapshot.pages = {{"decode-0", 0, {{"free", free}, {"cached", cached}, {"used", 0}}}};
    return snapshot;
  }
  Evidence evidence_;
};

TEST_F(StateChecksTest, PagesThatOnlyChangeTheirClassAddUp) {
  const CheckResult result = PagesAddUp(evidence_);
  EXPECT_TRUE(result.ok) << result.detail;
  EXPECT_EQ(result.detail, "at each of 3 looks");
}

TEST_F(StateChecksTest, APageInNoClassOrInTwoIsSeenWhileTheLoadRuns) {
  evidence_.during[1].pages[0].classes["cached"] = 63;
  EXPECT_FALSE(PagesAddUp(evidence_).ok);
  EXPECT_EQ(PagesAddUp(evidence_).detail, "decode-0/0 had 64 pages, and 63 at 2.0 s");
  evidence_.during[1].pages[0].classes["cached"] = 65;
  EXPECT_FALSE(PagesAddUp(evidence_).ok);
}

TEST_F(StateChecksTest, AWorkerThatStartsAgainHasNoPagesYet) {
  evidence_.during[1].pages[0].classes = {{"free", 0}};
  EXPECT_TRUE(PagesAddUp(evidence_).ok);
  evidence_.during[1].pages.clear();
  EXPECT_TRUE(PagesAddUp(evidence_).ok);
}

TEST_F(StateChecksTest, PagesThatAreMissingAfterwardsAreSeen) {
  evidence_.after.pages[0].classes["free"] = 49;
  EXPECT_FALSE(PagesAddUp(evidence_).ok);
}

TEST_F(StateChecksTest, WhatIsLeftOpenIsNamed) {
  EXPECT_TRUE(NothingLeftOpen(evidence_).ok);
  evidence_.after.metrics["decode-0"]["baton_calls_open"] = 2;
  evidence_.after.metrics["router"]["baton_router_inflight_requests"] = 1;
  const CheckResult result = NothingLeftOpen(evidence_);
  EXPECT_FALSE(result.ok);
  EXPECT_EQ(result.detail, "1 baton_router_inflight_requests of router, 2 baton_calls_open of decode-0");
}

TEST_F(StateChecksTest, MemoryThatGrowsIsSeen) {
  evidence_.after.metrics["decode-0"][kResident] = 130e6;
  EXPECT_TRUE(MemoryBounded(40, evidence_).ok);
  EXPECT_FALSE(MemoryBounded(20, evidence_).ok);
  EXPECT_EQ(MemoryBounded(20, evidence_).detail, "most: decode-0, by 30.0 MB");
}

TEST_F(StateChecksTest, MemoryOfAProcessThatDiedIsNotCompared) {
  evidence_.after.metrics["decode-0"][kResident] = 900e6;
  evidence_.processes[1].restarts = 1;
  EXPECT_TRUE(MemoryBounded(20, evidence_).ok);
  evidence_.processes[0].gone = true;
  EXPECT_FALSE(MemoryBounded(20, evidence_).ok) << "nothing to compare is no success";
}

TEST_F(StateChecksTest, HandoffsOfTheRunAreCounted) {
  EXPECT_THAT(HandoffsHeld(0.9, evidence_).detail, HasSubstr("none"));
  EXPECT_FALSE(HandoffsHeld(0.9, evidence_).ok);
  evidence_.after.metrics["router"][kHeld] = 14;
  evidence_.after.metrics["router"][kLost] = 2;
  EXPECT_TRUE(HandoffsHeld(0.9, evidence_).ok);
  EXPECT_EQ(HandoffsHeld(0.9, evidence_).detail, "9 of 10");
  EXPECT_FALSE(HandoffsHeld(0.95, evidence_).ok);
}

TEST_F(StateChecksTest, ARouterThatBeganAnewCountsFromZero) {
  evidence_.after.metrics["router"][kHeld] = 3;
  evidence_.after.metrics["router"][kLost] = 0;
  EXPECT_EQ(HandoffsHeld(1, evidence_).detail, "3 of 3");
}

}  // namespace
}  // namespace baton::chaos
