#include "tools/chaos/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/tools/chaos/fake_driver.h"
#include "tools/chaos/page_holder.h"
#include "tools/chaos/sampler.h"

namespace baton::chaos {
namespace {

using ::testing::HasSubstr;

constexpr char kWorker[] =
    "# HELP baton_pages KV pages\n"
    "baton_pages{class=\"free\",rank=\"0\"} 60\n"
    "baton_pages{rank=\"0\",class=\"cached\"} 4\n"
    "baton_pages{class=\"used\",rank=\"0\"} 0\n"
    "baton_pages{class=\"free\",rank=\"1\"} 64\n"
    "baton_handoffs_total{outcome=\"held\",side=\"reader\"} 12\n"
    "broken line\n";

TEST(SnapshotTest, MetricsAreReadLineByLine) {
  const Samples samples = ParseMetrics(kWorker);
  EXPECT_EQ(samples.size(), 5u);
  EXPECT_EQ(samples.at("baton_handoffs_total{outcome=\"held\",side=\"reader\"}"), 12);
  EXPECT_EQ(LabelOf("x{a=\"1\",side=\"reader\"}", "side"), "reader");
  EXPECT_EQ(LabelOf("x{a=\"1\"}", "side"), "");
}

TEST(SnapshotTest, PagesAreCountedByRankAndClass) {
  const auto pages = PagesOf("decode-0", ParseMetrics(kWorker));
  ASSERT_EQ(pages.size(), 2u);
  EXPECT_EQ(pages[0], (PageCount{"decode-0", 0, {{"free", 60}, {"cached", 4}, {"used", 0}}}));
  EXPECT_EQ(pages[1].rank, 1);
  const auto pool = PagesOf("kv", ParseMetrics("baton_pool_pages{class=\"free\"} 3\n"));
  ASSERT_EQ(pool.size(), 1u);
  EXPECT_EQ(pool[0].rank, -1);
}

class IdleTest : public ::testing::Test {
 protected:
  IdleTest() : driver_({"router", "decode-0"}) {
    driver_.pages = {{"router/metrics", "baton_router_requests_total 3\n"},
                     {"router/baton/status", R"({"workers":[{"name":"decode-0","healthy":true}]})"},
                     {"decode-0/metrics", kWorker}};
  }
  std::string Why() { return WhyNotIdle(TakeSnapshot(driver_, 0)); }
  FakeDriver driver_;
};

TEST_F(IdleTest, AllFreeOrCachedAndEverybodyWell) {
  EXPECT_EQ(Why(), "");
}

TEST_F(IdleTest, APageOfAnyOtherClass) {
  driver_.pages["decode-0/metrics"] += "baton_pages{class=\"quarantined\",rank=\"1\"} 2\n";
  EXPECT_EQ(Why(), "decode-0/1 has 2 pages quarantined");
}

TEST_F(IdleTest, AProcessThatDoesNotAnswer) {
  driver_.pages.erase("decode-0/metrics");
  EXPECT_EQ(Why(), "decode-0 does not answer");
}

TEST_F(IdleTest, AProcessThatIsGoneForGoodIsNotAsked) {
  driver_.pages.erase("decode-0/metrics");
  driver_.processes[1].gone = true;
  EXPECT_EQ(Why(), "");
}

TEST_F(IdleTest, AWorkerThatTheRouterDoesNotKnow) {
  driver_.pages["router/baton/status"] = R"({"workers":[{"name":"decode-0","healthy":false}]})";
  EXPECT_THAT(Why(), HasSubstr("0 of 1 workers"));
  driver_.pages["router/baton/status"] = "<html>";
  EXPECT_THAT(Why(), HasSubstr("workers as healthy"));
}

TEST_F(IdleTest, ACallThatIsStillOpen) {
  driver_.pages["decode-0/metrics"] += "baton_calls_open 2\nbaton_calls_total{result=\"finished\"} 7\n";
  EXPECT_EQ(Why(), "2 baton_calls_open");
}

TEST_F(IdleTest, LooksWhileALoadRunsKeepThePages) {
  Sampler sampler(driver_, SteadyClock().Now() - absl::Seconds(3), absl::Hours(1));
  const std::vector<Snapshot> seen = sampler.Stop();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].pages.size(), 2u);
  EXPECT_TRUE(seen[0].metrics.empty());
  EXPECT_GE(seen[0].at_s, 3);
}

TEST(PageHolderTest, ARankIsExhaustedWhenLittleIsFreeOrCached) {
  const std::vector<PageCount> pages = {{"d", 0, {{"free", 5}, {"cached", 5}, {"used", 90}}},
                                        {"d", 1, {{"free", 50}, {"used", 50}}}};
  EXPECT_TRUE(IsExhausted(pages, 0, 10));
  EXPECT_FALSE(IsExhausted(pages, 0, 9));
  EXPECT_FALSE(IsExhausted(pages, 1, 10));
  EXPECT_FALSE(IsExhausted(pages, 7, 100)) << "nobody knows of that rank";
}

TEST(PageHolderTest, RequestsShareNoPrefix) {
  EXPECT_NE(HolderRequest("m", 1), HolderRequest("m", 2));
  EXPECT_THAT(HolderRequest("m", 1), HasSubstr("\"ignore_eos\":true"));
}

}  // namespace
}  // namespace baton::chaos
