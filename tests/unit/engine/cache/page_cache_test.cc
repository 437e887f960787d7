#include "engine/cache/page_cache.h"

#include <gtest/gtest.h>

#include <deque>

#include "common/block_hash.h"
#include "common/keyed_random.h"

namespace baton {
namespace {

// `blocks` chained hashes of a prompt; prompts with equal `family` share their first `shared` blocks.
std::vector<BlockHash> Chain(int family, int own, int blocks, int shared) {
  std::vector<TokenId> tokens;
  for (int b = 0; b < blocks; ++b) tokens.push_back(b < shared ? family : 1000 + own);
  return BlockHashes(RootBlockHash("f", {}), tokens, 1);
}

// Computes a whole prompt: allocates what the cache does not have and indexes all of it.
PageLease Compute(PageCache* cache, absl::Span<const BlockHash> hashes) {
  PageLease lease = cache->Match(hashes, PageHold::kUse);
  const int64_t found = lease.size();
  std::optional<PageLease> fresh =
      cache->Allocate(static_cast<int64_t>(hashes.size()) - found, PageHold::kUse);
  EXPECT_TRUE(fresh.has_value());
  lease.Append(*std::move(fresh));
  for (size_t b = found; b < hashes.size(); ++b) EXPECT_TRUE(cache->Index(hashes.first(b + 1), &lease, true));
  return lease;
}

TEST(PageCacheTest, FindsTheLongestRun) {
  PageCache cache(10, true);
  Compute(&cache, Chain(1, 1, 4, 2)).Reset();
  EXPECT_EQ(cache.pool().count(PageClass::kCached), 4);
  EXPECT_EQ(cache.Peek(Chain(1, 1, 4, 2)).blocks, 4);
  EXPECT_EQ(cache.Peek(Chain(1, 2, 4, 2)).blocks, 2);
  EXPECT_EQ(cache.Peek(Chain(2, 1, 4, 2)).blocks, 0);
  const PageLease lease = cache.Match(Chain(1, 2, 4, 2), PageHold::kUse);
  EXPECT_EQ(lease.size(), 2);
  EXPECT_EQ(cache.pool().count(PageClass::kUsed), 2);
  EXPECT_EQ(cache.Peek(Chain(1, 1, 4, 2)).held, 2);
  EXPECT_EQ(cache.available(), 8);
  EXPECT_EQ(cache.CheckIntegrity(), absl::OkStatus());
}

TEST(PageCacheTest, DisabledItNeitherFindsNorIndexes) {
  PageCache cache(4, false);
  std::optional<PageLease> lease = cache.Allocate(2, PageHold::kUse);
  EXPECT_FALSE(cache.Index(Chain(1, 1, 1, 1), &*lease, true));
  lease->Reset();
  EXPECT_EQ(cache.pool().count(PageClass::kFree), 4);
  EXPECT_TRUE(cache.Match(Chain(1, 1, 1, 1), PageHold::kUse).empty());
}

TEST(PageCacheTest, AllocatesAllOrNothing) {
  PageCache cache(4, true);
  const std::optional<PageLease> three = cache.Allocate(3, PageHold::kUse);
  EXPECT_FALSE(cache.Allocate(2, PageHold::kUse).has_value());
  EXPECT_EQ(cache.pool().count(PageClass::kFree), 1);
  EXPECT_TRUE(cache.Allocate(1, PageHold::kPull).has_value());
}

TEST(PageCacheTest, EvictsLeavesFirstLeastRecentlyUsedFirst) {
  PageCache cache(6, true);
  const auto a = Chain(1, 1, 3, 0), b = Chain(1, 2, 3, 0);
  Compute(&cache, a).Reset();
  Compute(&cache, b).Reset();
  cache.Match(a, PageHold::kUse).Reset();  // `a` is the more recent now
  const std::optional<PageLease> two = cache.Allocate(2, PageHold::kUse);
  EXPECT_EQ(cache.Peek(a).blocks, 3);
  EXPECT_EQ(cache.Peek(b).blocks, 1);
  const std::optional<PageLease> two_more = cache.Allocate(2, PageHold::kUse);
  EXPECT_EQ(cache.Peek(a).blocks, 2);
  EXPECT_EQ(cache.Peek(b).blocks, 0);
  EXPECT_EQ(cache.CheckIntegrity(), absl::OkStatus());
}

TEST(PageCacheTest, TellsOfWhatItNamesAndForgetsInOrder) {
  PageCache cache(4, true);
  const auto a = Chain(1, 1, 3, 0);
  Compute(&cache, a).Reset();
  Compute(&cache, a).Reset();  // nothing new
  { const std::optional<PageLease> two = cache.Allocate(2, PageHold::kUse); }
  const std::vector<BlockChange> changes = cache.TakeChanges();
  ASSERT_EQ(changes.size(), 4u);
  for (int block = 0; block < 3; ++block) {
    EXPECT_EQ(changes[block].block, a[block]);
    EXPECT_TRUE(changes[block].stored);
  }
  EXPECT_EQ(changes[3].block, a[2]) << "the leaf went";
  EXPECT_FALSE(changes[3].stored);
  EXPECT_TRUE(cache.TakeChanges().empty());
}

TEST(PageCacheTest, NeverEvictsWhatIsUsedOrPinned) {
  PageCache cache(6, true);
  PageLease used = Compute(&cache, Chain(1, 1, 2, 0));
  PageLease pinned = Compute(&cache, Chain(1, 2, 2, 0));
  pinned.Convert(PageHold::kPin);
  Compute(&cache, Chain(1, 3, 2, 0)).Reset();
  EXPECT_FALSE(cache.Allocate(3, PageHold::kUse).has_value());
  EXPECT_TRUE(cache.Allocate(2, PageHold::kUse).has_value());
  EXPECT_EQ(cache.Peek(Chain(1, 1, 2, 0)).blocks, 2);
  EXPECT_EQ(cache.Peek(Chain(1, 2, 2, 0)).blocks, 2);
}

TEST(PageCacheTest, ADuplicateIsReplacedOrLeftUnindexed) {
  PageCache cache(8, true);
  const auto hashes = Chain(1, 1, 2, 0);
  const PageLease first = Compute(&cache, hashes);
  std::optional<PageLease> second = cache.Allocate(2, PageHold::kUse);
  EXPECT_FALSE(cache.Index(absl::MakeConstSpan(hashes).first(1), &*second, /*may_replace=*/false));
  EXPECT_NE(second->pages()[0], first.pages()[0]);
  EXPECT_TRUE(cache.Index(absl::MakeConstSpan(hashes).first(1), &*second, /*may_replace=*/true));
  EXPECT_EQ(second->pages()[0], first.pages()[0]);
  EXPECT_EQ(cache.pool().uses(first.pages()[0]), 2u);
  EXPECT_EQ(cache.pool().count(PageClass::kUsed), 3);
  EXPECT_EQ(cache.CheckIntegrity(), absl::OkStatus());
}

TEST(PageCacheTest, RandomUseKeepsItsBooks) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    PageCache cache(24, true);
    std::deque<PageLease> live;
    uint64_t draws = 0;
    const auto below = [&](int n) { return static_cast<int>(KeyedUniform(seed, 0, draws++) * n); };
    for (int turn = 0; turn < 120; ++turn) {
      const auto hashes = Chain(below(3), below(6), 1 + below(6), below(4));
      const int64_t needed = static_cast<int64_t>(hashes.size()) - cache.Peek(hashes).held;
      if (needed <= cache.available()) {
        live.push_back(Compute(&cache, hashes));
        if (below(4) == 0) live.back().Convert(PageHold::kPin);
      } else if (!live.empty()) {
        live.erase(live.begin() + below(static_cast<int>(live.size())));
      }
      ASSERT_EQ(cache.CheckIntegrity(), absl::OkStatus()) << "seed " << seed;
    }
    live.clear();
    EXPECT_EQ(cache.available(), 24);
    EXPECT_TRUE(cache.Allocate(24, PageHold::kUse).has_value());  // every cached page could be evicted
  }
}

}  // namespace
}  // namespace baton
