#include "services/worker/block_journal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace baton {
namespace {

BlockHash Block(uint64_t n) {
  return {n << 40 | n, n};
}

// What a reader believes, by the rules of the protocol.
class Reader {
 public:
  // False if there was nothing to read at once after it.
  bool Read(const BlockJournal& journal, size_t most) {
    const BlockJournal::Part part = journal.Read(&cursor_, most);
    EXPECT_LE(part.stored.size() + part.evicted.size(), most);
    if (part.restart) ++restarts_, held_.clear();
    for (const BlockHash& block : part.evicted)
      EXPECT_EQ(part.stored.end(), std::find(part.stored.begin(), part.stored.end(), block));
    for (const BlockHash& block : part.evicted) held_.erase(block);
    for (const BlockHash& block : part.stored) held_.insert(block);
    return part.more;
  }
  void ReadAll(const BlockJournal& journal, size_t most) {
    while (Read(journal, most)) {
    }
  }
  const std::set<BlockHash>& held() const { return held_; }
  int restarts() const { return restarts_; }

 private:
  BlockJournal::Cursor cursor_;
  std::set<BlockHash> held_;
  int restarts_ = 0;
};

TEST(BlockJournal, BeginsWithAllInPartsThenChanges) {
  BlockJournal journal;
  for (uint64_t n = 0; n < 10; ++n) journal.Add({{Block(n), true}});
  journal.Add({{Block(3), false}});
  Reader reader;
  EXPECT_TRUE(reader.Read(journal, 4));
  EXPECT_TRUE(reader.Read(journal, 4));
  journal.Add({{Block(50), true}, {Block(0), false}});
  EXPECT_TRUE(reader.Read(journal, 4));
  EXPECT_FALSE(reader.Read(journal, 4));
  EXPECT_EQ(reader.held().size(), 9u);
  EXPECT_EQ(reader.held().count(Block(50)), 1u);
  EXPECT_EQ(reader.held().count(Block(0)), 0u);
  EXPECT_EQ(reader.restarts(), 1);
}

TEST(BlockJournal, TellsOfBlocksInTheOrderInWhichTheyCame) {
  BlockJournal journal;
  for (uint64_t n = 100; n > 0; --n) journal.Add({{Block(n), true}});
  BlockJournal::Cursor cursor;
  uint64_t next = 100;
  for (const size_t most : {60u, 60u}) {
    for (const BlockHash& block : journal.Read(&cursor, most).stored) EXPECT_EQ(block, Block(next--));
  }
  EXPECT_EQ(next, 0u);
  journal.Add({{Block(7), false}, {Block(300), true}, {Block(200), true}, {Block(7), true}});
  EXPECT_EQ(journal.Read(&cursor, 10).stored, (std::vector<BlockHash>{Block(300), Block(200), Block(7)}));
}

TEST(BlockJournal, WhatCameAndWentInBetweenIsNetOut) {
  BlockJournal journal;
  Reader reader;
  reader.ReadAll(journal, 10);
  journal.Add({{Block(1), true}, {Block(1), false}, {Block(2), true}});
  EXPECT_FALSE(reader.Read(journal, 10));
  EXPECT_EQ(reader.held(), std::set<BlockHash>{Block(2)});
}

TEST(BlockJournal, ReadersOfAnyPaceAgreeWithTheCache) {
  std::mt19937_64 random(5);
  BlockJournal journal(64);
  std::set<BlockHash> cache;
  std::vector<Reader> readers(4);
  for (int step = 0; step < 3000; ++step) {
    const BlockHash block = Block(random() % 40);
    const bool stored = cache.count(block) == 0;
    stored ? (void)cache.insert(block) : (void)cache.erase(block);
    journal.Add({{block, stored}});
    for (size_t i = 0; i < readers.size(); ++i) {
      if (random() % (1 + i * 60) == 0) readers[i].Read(journal, 1 + random() % 8);
    }
    if (random() % 400 != 0) continue;
    for (Reader& reader : readers) {
      reader.ReadAll(journal, 7);
      ASSERT_EQ(reader.held(), cache);
    }
  }
  EXPECT_EQ(readers[0].restarts(), 1) << "one that keeps up is told all once";
  EXPECT_GT(readers[3].restarts(), 1) << "one too far behind is told all again";
}

}  // namespace
}  // namespace baton
