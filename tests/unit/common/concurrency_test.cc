// BoundedQueue and Gate.

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "common/bounded_queue.h"
#include "common/gate.h"

namespace baton {
namespace {

using Queue = BoundedQueue<std::unique_ptr<int>>;

TEST(BoundedQueueTest, RefusesWhatDoesNotFit) {
  Queue queue(3);
  EXPECT_EQ(queue.TryPush(std::make_unique<int>(1), 2), Queue::Push::kDone);
  EXPECT_EQ(queue.TryPush(std::make_unique<int>(2), 2), Queue::Push::kFull);
  EXPECT_EQ(queue.TryPush(std::make_unique<int>(3)), Queue::Push::kDone);
  EXPECT_EQ(queue.TryPush(std::make_unique<int>(4)), Queue::Push::kDone);
  EXPECT_EQ(queue.TryPush(std::make_unique<int>(5)), Queue::Push::kFull);
  const auto items = queue.PopAll(absl::ZeroDuration());
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(*items[1], 3);
  EXPECT_EQ(queue.size(), 0u);
}

TEST(BoundedQueueTest, PopTimesOut) {
  Queue queue(1);
  EXPECT_TRUE(queue.PopAll(absl::Milliseconds(1)).empty());
}

TEST(BoundedQueueTest, CloseWakesWaitersAndKeepsWhatIsIn) {
  Queue queue(2);
  std::thread waiter([&] { EXPECT_TRUE(queue.PopAll(absl::InfiniteDuration()).empty()); });
  queue.Close();
  waiter.join();
  EXPECT_TRUE(queue.closed());
  EXPECT_EQ(queue.TryPush(nullptr), Queue::Push::kClosed);

  Queue full(2);
  EXPECT_EQ(full.TryPush(std::make_unique<int>(1)), Queue::Push::kDone);
  full.Close();
  EXPECT_EQ(full.PopAll(absl::InfiniteDuration()).size(), 1u);
}

TEST(BoundedQueueTest, NothingIsLostBetweenThreads) {
  BoundedQueue<int> queue(16);
  constexpr int kPushers = 3, kEach = 2000;
  std::vector<std::thread> pushers;
  for (int p = 0; p < kPushers; ++p) {
    pushers.emplace_back([&queue, p] {
      for (int i = 0; i < kEach; ++i) {
        while (queue.TryPush(p * kEach + i) != BoundedQueue<int>::Push::kDone) std::this_thread::yield();
      }
    });
  }
  std::vector<int> last(kPushers, -1);
  int popped = 0;
  while (popped < kPushers * kEach) {
    for (int value : queue.PopAll(absl::Seconds(10))) {
      EXPECT_EQ(value % kEach, last[value / kEach] + 1);  // each pusher's items in order
      last[value / kEach] = value % kEach;
      ++popped;
    }
  }
  for (std::thread& pusher : pushers) pusher.join();
}

TEST(GateTest, ClosedLetsNobodyIn) {
  Gate gate;
  EXPECT_TRUE(gate.Enter().has_value());
  EXPECT_EQ(gate.inside(), 0);
  gate.Close();
  EXPECT_FALSE(gate.Enter().has_value());
  EXPECT_TRUE(gate.closed());
  EXPECT_TRUE(gate.Drain(absl::ZeroDuration()));
}

TEST(GateTest, DrainWaitsForThoseInsideUntilItsDeadline) {
  Gate gate;
  std::optional<Gate::Pass> pass = gate.Enter();
  EXPECT_FALSE(gate.Drain(absl::Milliseconds(1)));
  EXPECT_FALSE(gate.Enter().has_value());
  std::thread leaver([&] { pass.reset(); });
  EXPECT_TRUE(gate.Drain(absl::Seconds(10)));
  leaver.join();
}

TEST(GateTest, PassesMove) {
  Gate gate;
  std::optional<Gate::Pass> a = gate.Enter();
  std::optional<Gate::Pass> b = gate.Enter();
  EXPECT_EQ(gate.inside(), 2);
  *a = *std::move(b);
  b.reset();
  EXPECT_EQ(gate.inside(), 1);
  a.reset();
  EXPECT_EQ(gate.inside(), 0);
}

}  // namespace
}  // namespace baton
