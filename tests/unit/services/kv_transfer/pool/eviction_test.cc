#include "services/kv_transfer/pool/eviction.h"

#include <gtest/gtest.h>

#include <set>

#include "services/kv_transfer/pool/frequency_sketch.h"

namespace baton::pool {
namespace {

BlockHash Key(uint64_t n) {
  return {n * 0x9E3779B97F4A7C15u, n + 1};
}

bool Any(const BlockHash&) {
  return true;
}

TEST(EvictionQueueTest, BlocksSeenOnceLeaveInOrder) {
  EvictionQueue queue(100);
  for (uint64_t i = 0; i < 20; ++i) queue.Insert(Key(i));
  EXPECT_EQ(queue.Evict(Any), Key(0));
  EXPECT_EQ(queue.Evict(Any), Key(1));
  EXPECT_EQ(queue.size(), 18);
}

TEST(EvictionQueueTest, UsedBlocksSurviveAScan) {
  EvictionQueue queue(100);
  for (uint64_t i = 0; i < 50; ++i) {
    queue.Insert(Key(i));
    queue.Hit(Key(i));
  }
  for (uint64_t i = 1000; i < 2000; ++i) {
    queue.Insert(Key(i));
    if (queue.size() > 100) {
      ASSERT_TRUE(queue.Evict(Any).has_value());
    }
  }
  for (uint64_t i = 0; i < 50; ++i) EXPECT_TRUE(queue.Contains(Key(i))) << i;
}

TEST(EvictionQueueTest, AGhostComesBackToStay) {
  EvictionQueue queue(10);
  queue.Insert(Key(1));
  EXPECT_EQ(queue.Evict(Any), Key(1));
  EXPECT_TRUE(queue.Remembers(Key(1)));
  queue.Insert(Key(1));
  EXPECT_FALSE(queue.Remembers(Key(1)));
  queue.Insert(Key(2));
  queue.Insert(Key(3));
  EXPECT_EQ(queue.Evict(Any), Key(2));
}

TEST(EvictionQueueTest, GhostsAreBounded) {
  EvictionQueue queue(10);
  for (uint64_t i = 0; i < 1000; ++i) {
    queue.Insert(Key(i));
    queue.Evict(Any);
  }
  EXPECT_FALSE(queue.Remembers(Key(100)));
  EXPECT_TRUE(queue.Remembers(Key(999)));
}

TEST(EvictionQueueTest, TakesOnlyWhatMayLeave) {
  EvictionQueue queue(10);
  std::set<uint64_t> held = {0, 1, 2};
  const auto evictable = [&](const BlockHash& key) { return held.count(key.lo - 1) == 0; };
  for (uint64_t i = 0; i < 5; ++i) {
    queue.Insert(Key(i));
    for (int use = 0; use < 5; ++use) queue.Hit(Key(i));
  }
  std::set<uint64_t> gone;
  while (const auto victim = queue.Evict(evictable)) gone.insert(victim->lo - 1);
  EXPECT_EQ(gone, (std::set<uint64_t>{3, 4}));
  EXPECT_EQ(queue.size(), 3);
  queue.Erase(Key(0));
  EXPECT_FALSE(queue.Contains(Key(0)));
}

TEST(FrequencySketchTest, CountsAndForgets) {
  FrequencySketch sketch(1000);
  for (int i = 0; i < 3; ++i) sketch.Touch(Key(7));
  EXPECT_EQ(sketch.Count(Key(7)), 3);
  EXPECT_EQ(sketch.Count(Key(8)), 0);
  for (uint64_t i = 0; i < 20000; ++i) sketch.Touch(Key(100 + i % 2000));
  EXPECT_LT(sketch.Count(Key(7)), 3);
}

TEST(FrequencySketchTest, NeverCountsTooLittle) {
  FrequencySketch sketch(100);
  for (uint64_t i = 0; i < 60; ++i) {
    for (uint64_t n = 0; n <= i % 8; ++n) sketch.Touch(Key(i));
  }
  for (uint64_t i = 0; i < 60; ++i) EXPECT_GE(sketch.Count(Key(i)), static_cast<int>(i % 8) + 1);
}

}  // namespace
}  // namespace baton::pool
