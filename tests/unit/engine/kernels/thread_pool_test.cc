#include "engine/kernels/thread_pool.h"

#include <atomic>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"

namespace baton::kernels {
namespace {

TEST(ThreadPool, EveryIterationRunsOnceAndIsVisibleAfterwards) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const int64_t count : {0, 1, 2, 7, 64, 1000}) {
      for (const int64_t grain : {1, 3, 64}) {
        std::vector<int> seen(count, 0);
        pool.ParallelFor(count, grain, [&](int64_t begin, int64_t end, int) {
          for (int64_t i = begin; i < end; ++i) ++seen[i];
        });
        EXPECT_EQ(seen, std::vector<int>(count, 1));
      }
    }
  }
}

TEST(ThreadPool, NoTwoThreadsShareASlot) {
  ThreadPool pool(4);
  std::vector<std::atomic<int>> inside(4);
  std::atomic<int> clashes{0};
  for (int round = 0; round < 2000; ++round) {
    pool.ParallelFor(16, 1, [&](int64_t, int64_t, int slot) {
      if (inside[slot].fetch_add(1) != 0) ++clashes;
      inside[slot].fetch_sub(1);
    });
  }
  EXPECT_EQ(clashes.load(), 0);
}

TEST(ThreadPool, ALoopSeesWhatTheLoopBeforeItWrote) {
  ThreadPool pool(3);
  std::vector<int64_t> a(257, 1), b(257, 0);
  for (int round = 0; round < 1000; ++round) {
    pool.ParallelFor(257, 8, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) b[i] = a[256 - i] + 1;
    });
    pool.ParallelFor(257, 8, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) a[i] = b[256 - i];
    });
  }
  EXPECT_EQ(std::accumulate(a.begin(), a.end(), int64_t{0}), 257 * 1001);
}

TEST(ThreadPool, StopsWithThreadsAsleepOrAwake) {
  for (int i = 0; i < 50; ++i) {
    ThreadPool pool(3);
    if (i % 2 == 0) pool.ParallelFor(8, 1, [](int64_t, int64_t, int) {});
  }
}

}  // namespace
}  // namespace baton::kernels
