#include "services/kv_transfer/pool/pool_core.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/services/kv_transfer/pool/core_world.h"

namespace baton::pool {
namespace {

TEST(PoolCoreTest, WhatWasHeldIsFound) {
  CoreWorld world({.pages = 100});
  EXPECT_EQ(world.Fetch(MakeRun(1, 10)).found, 0u);
  const StoreAnswer stored = world.Store(MakeRun(1, 10));
  EXPECT_EQ(stored.blocks, 10u);
  const HandoffId id = world.last();
  EXPECT_EQ(world.Fetch(MakeRun(1, 10)).found, 0u) << "not visible before held";
  EXPECT_EQ(world.pages(PageState::kFilling), 10);
  world.End(id, true);
  EXPECT_EQ(world.FetchHeld(MakeRun(1, 10)), 10u);
  EXPECT_EQ(world.pages(PageState::kCached), 10);
}

TEST(PoolCoreTest, AStoreTakesOnlyWhatIsMissing) {
  CoreWorld world({.pages = 100});
  world.StoreHeld(MakeRun(1, 6, 5, 4));
  const StoreAnswer more = world.Store(MakeRun(2, 7, 5, 4));
  EXPECT_EQ(more.first, 4u);
  EXPECT_EQ(more.blocks, 3u);
  const PullBegin& pull = world.pulled.at(world.last());
  EXPECT_EQ(pull.begin, 4 * kAtomTokens);
  EXPECT_EQ(pull.end, 7 * kAtomTokens);
  EXPECT_EQ(pull.pages.size(), 7u);
  EXPECT_EQ(world.Store(MakeRun(2, 7, 5, 4)).blocks, 0u) << "another worker's offer of the same";
}

TEST(PoolCoreTest, ALostStoreLeavesNothingAndWaitsForItsFence) {
  CoreWorld world({.pages = 10});
  world.Store(MakeRun(1, 4));
  const HandoffId id = world.last();
  world.Lose(id, false);
  EXPECT_EQ(world.pages(PageState::kQuarantined), 4);
  world.End(id, true);  // too late to count
  EXPECT_EQ(world.pages(PageState::kQuarantined), 4);
  world.Fence(id);
  EXPECT_EQ(world.pages(PageState::kFree), 10);
  EXPECT_EQ(world.Fetch(MakeRun(1, 4)).found, 0u);
  EXPECT_EQ(world.StoreHeld(MakeRun(1, 4)), 4u);
}

TEST(PoolCoreTest, PinnedBlocksStay) {
  CoreWorld world({.pages = 4});
  world.StoreHeld(MakeRun(1, 4));
  EXPECT_EQ(world.Fetch(MakeRun(1, 4)).blocks, 4u);
  const HandoffId reader = world.last();
  for (int i = 0; i < 3; ++i) world.Fetch(MakeRun(2, 4));  // asked for again and again
  EXPECT_EQ(world.Store(MakeRun(2, 4)).blocks, 0u) << "no page to be had";
  world.End(reader, true);
  EXPECT_GT(world.StoreHeld(MakeRun(2, 4)), 0u);
}

TEST(PoolCoreTest, LeavesGoFirst) {
  CoreWorld world({.pages = 8});
  world.StoreHeld(MakeRun(1, 8));
  for (int i = 0; i < 2; ++i) world.Fetch(MakeRun(2, 3));
  EXPECT_EQ(world.StoreHeld(MakeRun(2, 3)), 3u);
  EXPECT_EQ(world.Fetch(MakeRun(1, 8)).found, 5u) << "the first five are still of use";
}

TEST(PoolCoreTest, WhenFullOnlyWhatIsAskedForAgainIsTaken) {
  CoreWorld world({.pages = 20});
  world.StoreHeld(MakeRun(1, 20));
  for (uint64_t prompt = 100; prompt < 150; ++prompt) {
    world.Fetch(MakeRun(prompt, 5));
    EXPECT_EQ(world.StoreHeld(MakeRun(prompt, 5)), 0u);
  }
  EXPECT_EQ(world.FetchHeld(MakeRun(1, 20)), 20u);
  world.Fetch(MakeRun(149, 5));
  EXPECT_EQ(world.StoreHeld(MakeRun(149, 5)), 5u);
}

TEST(PoolCoreTest, TooLittleIsNotWorthAMove) {
  CoreWorld world({.pages = 20});
  world.StoreHeld(MakeRun(1, 6));
  EXPECT_EQ(world.Fetch(MakeRun(1, 6), 2, 5).blocks, 0u);
  EXPECT_TRUE(world.granted.empty());
  EXPECT_EQ(world.Fetch(MakeRun(1, 6), 2, 4).blocks, 6u);
}

TEST(PoolCoreTest, CallsThatMakeNoSenseAreRefused) {
  CoreWorld world({.pages = 20, .max_run = 8});
  const auto fetch = [&](FetchCall call) { return world.core().OnFetch(std::move(call), {}).status(); };
  EXPECT_TRUE(absl::IsInvalidArgument(fetch({.id = {{1, 1}, {}}, .run = MakeRun(1, 9)})));
  EXPECT_TRUE(absl::IsInvalidArgument(fetch({.id = {}, .run = MakeRun(1, 2)})));
  EXPECT_TRUE(absl::IsInvalidArgument(fetch({.id = {{1, 1}, {}}, .run = {{{1, 1}}, {}}})));
  BlockRun twice = MakeRun(1, 2), nameless = MakeRun(1, 2);
  twice.blocks[1] = twice.blocks[0];
  nameless.blocks[1] = {};
  for (const BlockRun& run : {twice, nameless}) {
    EXPECT_TRUE(absl::IsInvalidArgument(fetch({.id = {{1, 1}, {}}, .run = run})));
    EXPECT_TRUE(absl::IsInvalidArgument(world.core().OnStore({.id = {{1, 1}, {}}, .run = run}, {}).status()));
  }
  world.Store(MakeRun(1, 2));
  EXPECT_TRUE(absl::IsInvalidArgument(fetch({.id = world.last(), .run = MakeRun(1, 2)}))) << "id in use";
  EXPECT_EQ(fetch({.id = {{1, 2}, {}}, .run = MakeRun(1, 2), .skip = 1u << 31}), absl::OkStatus());
}

class DiskTierTest : public testing::Test {
 protected:
  // Two of 24 blocks' worth of prompts, of which memory holds one.
  void TwoPrompts() {
    world_.StoreHeld(MakeRun(1, 8));
    for (int i = 0; i < 2; ++i) world_.Fetch(MakeRun(2, 8));
    world_.StoreHeld(MakeRun(2, 8));
  }
  CoreWorld world_{{.pages = 8, .segment_blocks = 4, .segments = 6}};
};

TEST_F(DiskTierTest, WhatLeftMemoryComesBackFromDisk) {
  TwoPrompts();
  EXPECT_EQ(world_.disk.size(), 16u);
  const FetchAnswer answer = world_.Fetch(MakeRun(1, 8));
  EXPECT_EQ(answer.blocks, 8u);
  EXPECT_GT(answer.from_disk, 0u);
  EXPECT_TRUE(world_.granted.at(world_.last()).sealed);
  world_.End(world_.last(), true);
}

TEST_F(DiskTierTest, TwoReadersOfABlockOnDiskShareOneRead) {
  TwoPrompts();
  world_.hold_disk = true;
  EXPECT_EQ(world_.Fetch(MakeRun(1, 8)).blocks, 8u);
  const HandoffId first = world_.last();
  const size_t reads = world_.disk_jobs.size();
  EXPECT_EQ(world_.Fetch(MakeRun(1, 8)).blocks, 8u);
  EXPECT_EQ(world_.disk_jobs.size(), reads);
  EXPECT_FALSE(world_.granted.at(first).sealed);
  world_.End(first, false);  // its reader went away meanwhile
  world_.hold_disk = false;
  while (!world_.disk_jobs.empty()) world_.DoDiskJob();
  world_.Settle();
  EXPECT_TRUE(world_.granted.at(world_.last()).sealed);
  EXPECT_FALSE(world_.granted.at(first).sealed);
}

TEST_F(DiskTierTest, ADamagedBlockIsNeverOfferedAgain) {
  TwoPrompts();
  world_.disk.clear();
  EXPECT_GT(world_.Fetch(MakeRun(1, 8)).blocks, 0u);
  EXPECT_TRUE(world_.granted.at(world_.last()).revoked);
  EXPECT_EQ(world_.core().disk_state(), absl::OkStatus());
  EXPECT_LT(world_.Fetch(MakeRun(1, 8)).found, 8u);
  EXPECT_GT(world_.core().counters().disk_refused, 0u);
}

TEST_F(DiskTierTest, AFailingDiskIsTurnedOffAndMemoryGoesOn) {
  TwoPrompts();
  world_.write_status = absl::ResourceExhaustedError("no space left on device");
  for (int i = 0; i < 2; ++i) world_.Fetch(MakeRun(3, 4));
  EXPECT_EQ(world_.StoreHeld(MakeRun(3, 4)), 4u);
  EXPECT_TRUE(absl::IsResourceExhausted(world_.core().disk_state()));
  EXPECT_EQ(world_.core().blocks_on_disk(), 0);
  EXPECT_EQ(world_.FetchHeld(MakeRun(3, 4)), 4u);
  EXPECT_LT(world_.Fetch(MakeRun(1, 8)).found, 8u);
}

TEST_F(DiskTierTest, AReadThatFailsTurnsItOffToo) {
  TwoPrompts();
  world_.read_status = absl::UnavailableError("input/output error");
  world_.Fetch(MakeRun(1, 8));
  EXPECT_TRUE(world_.granted.at(world_.last()).revoked);
  EXPECT_TRUE(absl::IsUnavailable(world_.core().disk_state()));
}

TEST(PoolCoreTest, OldSegmentsGoButWhatIsUsedIsWrittenAgain) {
  CoreWorld world({.pages = 16, .segment_blocks = 4, .segments = 6});
  const BlockRun hot = MakeRun(1, 4);
  world.StoreHeld(hot);
  for (uint64_t prompt = 2; prompt < 12; ++prompt) {
    for (int i = 0; i < 2; ++i) world.Fetch(MakeRun(prompt, 4));
    world.FetchHeld(hot);
    world.StoreHeld(MakeRun(prompt, 4));
  }
  EXPECT_FALSE(world.dropped.empty());
  EXPECT_LE(world.core().blocks_on_disk(), 24);
  size_t hot_on_disk = 0;
  for (const auto& [place, key] : world.disk) hot_on_disk += key == hot.blocks[0];
  EXPECT_EQ(hot_on_disk, 1u);
  EXPECT_EQ(world.FetchHeld(hot), 4u);
}

TEST_F(DiskTierTest, FindsWhatAnEarlierLifeLeft) {
  const BlockRun run = MakeRun(1, 3);
  RecoveredLog log{.next_segment = 8, .next_sequence = 50};
  for (uint32_t i = 0; i < 3; ++i) {
    const RecordName name{.key = run.blocks[i], .sequence = i + 1, .place = {7, i}};
    log.blocks.push_back(name);
    world_.disk[name.place] = name.key;
  }
  world_.core().OnRecovered(log);
  EXPECT_EQ(world_.FetchHeld(run), 3u);
  world_.StoreHeld(MakeRun(2, 2));
  EXPECT_TRUE(world_.disk.contains({8, 0})) << "segments of an earlier life are not appended to";
}

TEST_F(DiskTierTest, ABlockThatAStoreAndADiskReadBringIsKeptOnce) {
  const BlockRun run = MakeRun(1, 2);
  world_.Store(run);
  const HandoffId store = world_.last();
  RecoveredLog log{.next_segment = 8, .next_sequence = 50};
  for (uint32_t i = 0; i < 2; ++i) {
    log.blocks.push_back({.key = run.blocks[i], .sequence = i + 1, .place = {7, i}});
    world_.disk[{7, i}] = run.blocks[i];
  }
  world_.core().OnRecovered(log);
  world_.hold_disk = true;
  EXPECT_EQ(world_.Fetch(run).from_disk, 2u);
  const HandoffId fetch = world_.last();
  world_.End(store, true);
  world_.hold_disk = false;
  while (!world_.disk_jobs.empty()) world_.DoDiskJob();
  world_.Settle();
  EXPECT_TRUE(world_.granted.at(fetch).sealed);
  world_.End(fetch, true);
  EXPECT_EQ(world_.pages(PageState::kCached), 2);
  EXPECT_EQ(world_.FetchHeld(run), 2u);
}

TEST_F(DiskTierTest, AReadOutlivesTheFetchWhoseIdIsUsedAgain) {
  TwoPrompts();
  world_.hold_disk = true;
  const HandoffId id{{77, 1}, {}};
  ASSERT_EQ(world_.core().OnFetch({.id = id, .run = MakeRun(1, 8)}, {})->blocks, 8u);
  world_.Settle();
  world_.End(id, false);
  ASSERT_EQ(world_.core().OnFetch({.id = id, .run = MakeRun(1, 1)}, {})->blocks, 1u);
  world_.Settle();
  world_.hold_disk = false;
  while (!world_.disk_jobs.empty()) world_.DoDiskJob();
  world_.Settle();
  EXPECT_TRUE(world_.granted.at(id).sealed);
  world_.End(id, true);
  EXPECT_EQ(world_.pages(PageState::kPinned), 0);
}

// Whatever happens in whatever order: the books agree after every step, and at the end every page is home.
TEST(PoolCoreRandomTest, PagesAreNeverLost) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    CoreWorld world(
        {.pages = 12, .segment_blocks = 3, .segments = 4, .max_disk_writes = 8, .max_disk_reads = 4});
    world.hold_disk = true;
    std::vector<HandoffId> open, unfenced;
    const auto take = [&](std::vector<HandoffId>& from) {
      const size_t i = random() % from.size();
      const HandoffId id = from[i];
      from.erase(from.begin() + static_cast<int64_t>(i));
      return id;
    };
    for (int step = 0; step < 150; ++step) {
      const BlockRun run = MakeRun(random() % 6, 1 + random() % 7, random() % 2, random() % 4);
      const int what = static_cast<int>(random() % 10);
      if (what < 3 && world.Fetch(run, random() % 3).blocks > 0) open.push_back(world.last());
      if (what >= 3 && what < 6 && world.Store(run).blocks > 0) open.push_back(world.last());
      if (what == 6 && !open.empty()) world.End(take(open), random() % 3 != 0);
      if (what == 7 && !open.empty()) {
        const HandoffId id = take(open);
        if (world.pulled.contains(id)) unfenced.push_back(id);
        world.pulled.contains(id) ? world.Lose(id, false) : world.End(id, false);
      }
      if (what == 8 && !unfenced.empty()) world.Fence(take(unfenced));
      if (what == 9 && !world.disk_jobs.empty()) {
        if (random() % 20 == 0) world.disk.clear();
        if (random() % 400 == 0) world.write_status = absl::UnavailableError("input/output error");
        world.DoDiskJob();
        world.Settle();
      }
      ASSERT_FALSE(testing::Test::HasFailure()) << "step " << step;
    }
    while (!open.empty()) world.End(take(open), true);
    while (!unfenced.empty()) world.Fence(take(unfenced));
    world.hold_disk = false;
    while (!world.disk_jobs.empty()) world.DoDiskJob();
    world.Settle();
    EXPECT_EQ(world.core().moves(), 0u);
    EXPECT_EQ(world.pages(PageState::kFree) + world.pages(PageState::kCached), 12);
  }
}

}  // namespace
}  // namespace baton::pool
