// Hit ratios of the pool's policy and of plain LRU (leaves first, everything admitted) on made-up traces of
// prompts. docs/kv_pool.md has the table that this prints.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <list>
#include <random>

#include "absl/container/flat_hash_map.h"
#include "tests/unit/services/kv_transfer/pool/core_world.h"

namespace baton::pool {
namespace {

// Least recently used block without a child goes first.
class LruPool {
 public:
  explicit LruPool(size_t capacity) : capacity_(capacity) {}

  size_t Fetch(const BlockRun& run) {
    size_t found = 0;
    while (found < run.blocks.size() && blocks_.contains(run.blocks[found])) ++found;
    for (size_t i = found; i-- > 0;) Use(run.blocks[i]);
    return found;
  }
  void Store(const BlockRun& run) {
    for (size_t i = 0; i < run.blocks.size(); ++i) {
      if (blocks_.contains(run.blocks[i])) continue;
      const BlockHash parent = i == 0 ? BlockHash{} : run.blocks[i - 1];
      ++children_[parent];
      order_.push_front(run.blocks[i]);
      blocks_[run.blocks[i]] = {parent, order_.begin()};
    }
    while (blocks_.size() > capacity_) EvictOne();
  }

 private:
  struct Block {
    BlockHash parent;
    std::list<BlockHash>::iterator at;
  };
  void Use(const BlockHash& key) { order_.splice(order_.begin(), order_, blocks_[key].at); }
  void EvictOne() {
    for (auto it = std::prev(order_.end());; --it) {
      if (children_.contains(*it)) continue;
      const BlockHash parent = blocks_[*it].parent;
      if (--children_[parent] == 0) children_.erase(parent);
      blocks_.erase(*it);
      order_.erase(it);
      return;
    }
  }
  const size_t capacity_;
  std::list<BlockHash> order_;
  absl::flat_hash_map<BlockHash, Block> blocks_;
  absl::flat_hash_map<BlockHash, int> children_;
};

// The i-th prompt of a trace.
using Trace = std::function<BlockRun(std::mt19937_64&, int i)>;

struct Ratios {
  double ours = 0, lru = 0;
};

Ratios Measure(const Trace& trace, int prompts, int64_t pages) {
  CoreWorld ours({.pages = pages});
  LruPool lru(static_cast<size_t>(pages));
  std::mt19937_64 random(2026);
  double asked = 0, ours_hit = 0, lru_hit = 0;
  for (int i = 0; i < prompts; ++i) {
    const BlockRun run = trace(random, i);
    const bool counts = i >= prompts / 4;  // after the pools have filled
    const double a = static_cast<double>(ours.FetchHeld(run)), b = static_cast<double>(lru.Fetch(run));
    if (counts) {
      asked += static_cast<double>(run.blocks.size());
      ours_hit += a;
      lru_hit += b;
    }
    ours.StoreHeld(run);
    lru.Store(run);
  }
  return {ours_hit / asked, lru_hit / asked};
}

uint64_t Zipf(std::mt19937_64& random, uint64_t n) {
  const double u = std::uniform_real_distribution<double>(0, 1)(random);
  return static_cast<uint64_t>(std::pow(static_cast<double>(n), u)) - 1;  // about 1/rank
}

// One of many documents or system prompts, by popularity, and a question of one's own behind it.
BlockRun SharedPrefixes(std::mt19937_64& random, int i) {
  const uint64_t family = Zipf(random, 200);
  const size_t shared = 8 + family % 25;
  return MakeRun(1000 + static_cast<uint64_t>(i), shared + 1 + random() % 8, family, shared);
}

// As before, and three prompts of five are long and never seen again.
BlockRun WithScans(std::mt19937_64& random, int i) {
  if (random() % 5 < 3) return MakeRun(1000 + static_cast<uint64_t>(i), 20 + random() % 40);
  return SharedPrefixes(random, i);
}

// Conversations: each turn is the last one's prompt and more; about sixty are going on.
Trace Conversations() {
  struct Talk {
    uint64_t name = 0;
    size_t blocks = 0;
  };
  auto talks = std::make_shared<std::vector<Talk>>(60);
  auto next = std::make_shared<uint64_t>(1);
  return [=](std::mt19937_64& random, int) {
    Talk& talk = (*talks)[random() % talks->size()];
    if (talk.blocks == 0 || random() % 8 == 0) talk = {(*next)++, 4 + random() % 8};
    talk.blocks += 1 + random() % 4;
    return MakeRun(talk.name, talk.blocks);
  };
}

// Half conversations, half prompts never seen again.
Trace ConversationsAndScans() {
  Trace talks = Conversations();
  return [talks](std::mt19937_64& random, int i) {
    if (random() % 2 == 0) return MakeRun(1000000 + static_cast<uint64_t>(i), 20 + random() % 40);
    return talks(random, i);
  };
}

void Compare(const char* name, const Trace& trace, int64_t pages, double at_least) {
  const Ratios ratios = Measure(trace, 6000, pages);
  std::printf("%-34s %5ld blocks: pool %.3f, LRU %.3f\n", name, static_cast<long>(pages), ratios.ours,
              ratios.lru);
  EXPECT_GE(ratios.ours, ratios.lru + at_least) << name;
}

// Where everybody comes back soon and nothing is seen once only, recency is all there is to know, and LRU is
// a little better.
TEST(HitRatioTest, BeatsLru) {
  Compare("shared prefixes", SharedPrefixes, 500, 0.10);
  Compare("shared prefixes", SharedPrefixes, 1500, 0.10);
  Compare("shared prefixes and scans", WithScans, 500, 0.06);
  Compare("shared prefixes and scans", WithScans, 1500, 0.06);
  Compare("conversations and scans", ConversationsAndScans(), 500, 0.04);
  Compare("conversations and scans", ConversationsAndScans(), 1000, 0.06);
  Compare("conversations", Conversations(), 500, -0.04);
  Compare("conversations", Conversations(), 1000, -0.06);
}

}  // namespace
}  // namespace baton::pool
