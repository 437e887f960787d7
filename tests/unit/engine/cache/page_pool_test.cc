#include "engine/cache/page_pool.h"

#include <gtest/gtest.h>

#include <optional>

#include "engine/cache/page_cache.h"
#include "engine/cache/page_lease.h"

namespace baton {
namespace {

TEST(PageLeaseTest, TakesAndGivesBack) {
  PagePool pool(4);
  {
    const PageLease lease = PageLease::TakeFree(&pool, 3, PageHold::kUse);
    EXPECT_EQ(lease.size(), 3);
    EXPECT_EQ(pool.count(PageClass::kUsed), 3);
    EXPECT_EQ(pool.count(PageClass::kFree), 1);
    EXPECT_EQ(pool.CheckIntegrity(), absl::OkStatus());
  }
  EXPECT_EQ(pool.count(PageClass::kFree), 4);
}

TEST(PageLeaseTest, MovesHandOver) {
  PagePool pool(4);
  PageLease a = PageLease::TakeFree(&pool, 2, PageHold::kUse);
  PageLease b = std::move(a);
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(b.size(), 2);
  b = PageLease::TakeFree(&pool, 1, PageHold::kUse);
  EXPECT_EQ(pool.count(PageClass::kUsed), 1);
  PageLease& same = b;
  b = std::move(same);
  EXPECT_EQ(pool.count(PageClass::kUsed), 1);
}

TEST(PageLeaseTest, SharedPagesComeBackWithTheLastHolder) {
  PagePool pool(2);
  PageLease used = PageLease::TakeFree(&pool, 1, PageHold::kUse);
  PageLease pinned = PageLease::Share(&pool, used.pages(), PageHold::kPin);
  const PageId page = used.pages()[0];
  EXPECT_EQ(pool.class_of(page), PageClass::kUsed);
  used.Reset();
  EXPECT_EQ(pool.class_of(page), PageClass::kPinned);
  pinned.Reset();
  EXPECT_EQ(pool.class_of(page), PageClass::kFree);
}

TEST(PageLeaseTest, ConvertsWithoutBeingFreeInBetween) {
  PagePool pool(3);
  PageLease lease = PageLease::TakeFree(&pool, 2, PageHold::kPull);
  EXPECT_EQ(pool.count(PageClass::kPulling), 2);
  lease.Convert(PageHold::kUse);
  EXPECT_EQ(pool.count(PageClass::kUsed), 2);
  lease.Convert(PageHold::kPin);
  EXPECT_EQ(pool.count(PageClass::kPinned), 2);
  lease.Reset();
  lease = PageLease::TakeFree(&pool, 2, PageHold::kPull);
  lease.Convert(PageHold::kQuarantine);
  EXPECT_EQ(pool.count(PageClass::kQuarantined), 2);
  EXPECT_EQ(pool.CheckIntegrity(), absl::OkStatus());
}

TEST(PageLeaseTest, AppendKeepsOrder) {
  PagePool pool(5);
  PageLease lease = PageLease::TakeFree(&pool, 2, PageHold::kUse);
  std::vector<PageId> expected(lease.pages().begin(), lease.pages().end());
  PageLease tail = PageLease::TakeFree(&pool, 2, PageHold::kUse);
  expected.insert(expected.end(), tail.pages().begin(), tail.pages().end());
  lease.Append(std::move(tail));
  EXPECT_EQ(std::vector<PageId>(lease.pages().begin(), lease.pages().end()), expected);
  EXPECT_EQ(pool.count(PageClass::kUsed), 4);
}

using PagePoolDeathTest = ::testing::Test;

TEST(PagePoolDeathTest, DestructorProvesThatAllCameBack) {
  EXPECT_DEATH(
      {
        std::optional<PagePool> pool(std::in_place, 2);
        PageLease lease = PageLease::TakeFree(&*pool, 1, PageHold::kUse);
        pool.reset();
      },
      "did not come back");
}

TEST(PagePoolDeathTest, ExclusivePagesAreNotShared) {
  PagePool pool(2);
  const PageLease pulling = PageLease::TakeFree(&pool, 1, PageHold::kPull);
  EXPECT_DEATH(PageLease::Share(&pool, pulling.pages(), PageHold::kUse), "exclusive");
}

TEST(PagePoolDeathTest, OnlyPulledPagesAreQuarantined) {
  PagePool pool(2);
  PageLease used = PageLease::TakeFree(&pool, 1, PageHold::kUse);
  EXPECT_DEATH(used.Convert(PageHold::kQuarantine), "quarantined");
}

}  // namespace
}  // namespace baton
