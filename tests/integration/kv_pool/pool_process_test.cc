// baton-kv as a process: what it keeps, what it survives, and whom it refuses.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "tests/integration/kv_pool/pool_harness.h"

namespace baton {
namespace {

class PoolProcessTest : public testing::Test {
 protected:
  PoolProcessTest()
      : folder_(testing::TempDir() + "/pool-" + RandomId128().ToHex()),
        pool_(folder_, {"--memory_mb=4", "--disk_mb=24"}) {
    pool_.Start();
  }
  ~PoolProcessTest() override {
    pool_.Kill(SIGKILL);
    std::filesystem::remove_all(folder_);
  }
  // Blocks of the prompt that the pool brings, waiting for as many as `wanted`.
  uint32_t FetchAtLeast(FakeWorker& worker, const PoolRun& run, uint32_t wanted) {
    const MonoTime deadline = worker.clock().Now() + absl::Seconds(20);
    uint32_t found = worker.Fetch(run);
    while (found < wanted && worker.clock().Now() < deadline) found = worker.Fetch(run);
    return found;
  }
  const std::string folder_;
  PoolProcess pool_;
};

TEST_F(PoolProcessTest, KeepsBlocksForAnotherWorkerAndOverARestart) {
  {
    FakeWorker first(pool_.grpc());
    ASSERT_TRUE(first.Attach()) << pool_.log();
    EXPECT_EQ(first.Fetch(TestRun(1, 20)), 0u);
    EXPECT_EQ(first.Store(TestRun(1, 20)), 20u);
    EXPECT_EQ(FetchAtLeast(first, TestRun(1, 20), 20), 20u);
    EXPECT_EQ(first.Fetch(TestRun(1, 20, /*salt=*/2)), 0u) << "another tenant's salt finds nothing";
  }
  EXPECT_EQ(pool_.Kill(SIGTERM), 0) << pool_.log();
  pool_.Start();
  FakeWorker second(pool_.grpc());
  ASSERT_TRUE(second.Attach());
  EXPECT_EQ(FetchAtLeast(second, TestRun(1, 20), 20), 20u) << pool_.log();
  EXPECT_EQ(second.Fetch(TestRun(1, 20, 2)), 0u);
  EXPECT_EQ(second.wrong_blocks(), 0u);
}

TEST_F(PoolProcessTest, RefusesAnotherFingerprintAndBelievesNothingOfItsDisk) {
  {
    FakeWorker worker(pool_.grpc());
    ASSERT_TRUE(worker.Attach());
    EXPECT_EQ(worker.Store(TestRun(1, 8)), 8u);
    FakeWorker stranger(pool_.grpc(), "other weights");
    const MonoTime deadline = stranger.clock().Now() + absl::Seconds(20);
    while (stranger.client().stats().failures == 0 && stranger.clock().Now() < deadline)
      std::this_thread::yield();
    EXPECT_FALSE(stranger.client().stats().attached);
  }
  pool_.Kill(SIGTERM);
  pool_.Start();
  FakeWorker other(pool_.grpc(), "other weights");
  ASSERT_TRUE(other.Attach());
  EXPECT_EQ(other.Fetch(TestRun(1, 8)), 0u);
}

TEST_F(PoolProcessTest, DamageOnDiskIsNeverServed) {
  {
    FakeWorker worker(pool_.grpc());
    ASSERT_TRUE(worker.Attach());
    EXPECT_EQ(worker.Store(TestRun(1, 16)), 16u);
  }
  pool_.Kill(SIGTERM);
  for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/disk")) {
    if (entry.path().extension() != ".kvseg") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<int64_t>(entry.file_size() / 2));
    file.write("damage", 6);
  }
  pool_.Start();
  FakeWorker worker(pool_.grpc());
  ASSERT_TRUE(worker.Attach());
  for (int i = 0; i < 4; ++i) worker.Fetch(TestRun(1, 16));
  EXPECT_EQ(worker.wrong_blocks(), 0u);
  EXPECT_LT(worker.Fetch(TestRun(1, 16)), 16u);
}

TEST_F(PoolProcessTest, AStoppedPoolCostsAFewDeadlines) {
  FakeWorker worker(pool_.grpc());
  ASSERT_TRUE(worker.Attach());
  pool_.Signal(SIGSTOP);
  const MonoTime begun = worker.clock().Now();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(worker.Fetch(TestRun(1, 4)), 0u);
  EXPECT_LT(worker.clock().Now() - begun, absl::Seconds(10)) << "1 s three times, then the breaker";
  EXPECT_GE(worker.client().stats().not_asked, 40u);
  pool_.Signal(SIGCONT);
}

// BATON_POOL_KILLS says how many.
TEST_F(PoolProcessTest, KilledInTheMiddleOfWritesItServesNoTornBlock) {
  const char* const wanted = std::getenv("BATON_POOL_KILLS");
  const int kills = wanted == nullptr ? 10 : std::atoi(wanted);
  std::mt19937_64 random(7);
  uint64_t fetched = 0, stored = 0, prompt = 0;
  for (int i = 0; i < kills; ++i) {
    FakeWorker worker(pool_.grpc());
    ASSERT_TRUE(worker.Attach()) << pool_.log();
    for (uint64_t old = 0; old < 12; ++old) fetched += worker.Fetch(TestRun(old, 16));
    ASSERT_EQ(worker.wrong_blocks(), 0u) << "after " << i << " kills";
    const int stores = 1 + static_cast<int>(random() % 4);
    for (int n = 0; n < stores; ++n) stored += worker.Store(TestRun(prompt++ % 12, 16), n + 1 < stores);
    const MonoTime until = worker.clock().Now() + absl::Microseconds(random() % 3000);
    while (worker.clock().Now() < until) std::this_thread::yield();
    pool_.Kill(SIGKILL);
    pool_.Start();
  }
  EXPECT_GT(fetched, 0u) << "blocks must survive kills, or the test shows nothing";
  std::printf("%d kills: %lu blocks stored, %lu fetched whole\n", kills, static_cast<unsigned long>(stored),
              static_cast<unsigned long>(fetched));
}

}  // namespace
}  // namespace baton
