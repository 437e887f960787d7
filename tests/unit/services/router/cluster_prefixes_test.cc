#include "services/router/policy/cluster_prefixes.h"

#include <gtest/gtest.h>

#include <numeric>

#include "common/block_hash.h"

namespace baton::router {
namespace {

const BlockNaming kNaming{"print", 16};
constexpr Id128 kSalt{3, 4};
const MonoTime kStart = absl::UnixEpoch();

std::vector<TokenId> Tokens(int count, int first = 0) {
  std::vector<TokenId> tokens(count);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

std::vector<BlockHash> Blocks(absl::Span<const TokenId> tokens, const BlockNaming& naming = kNaming,
                              const Id128& salt = kSalt) {
  return BlockHashes(RootBlockHash(naming.fingerprint, salt), tokens, int(naming.page_tokens));
}

class ClusterPrefixesTest : public testing::Test {
 protected:
  uint32_t Held(RankRef rank, absl::Span<const TokenId> tokens, const Id128& salt = kSalt) {
    std::vector<uint32_t> held;
    prefixes_.Match(HashPrompt(prefixes_.Namings(), salt, tokens), {rank, RankRef{99, 0}}, &held, &blocks_);
    EXPECT_EQ(held[1], 0u) << "an unknown rank";
    return held[0];
  }
  void Place(RankRef rank, absl::Span<const TokenId> tokens, MonoTime now = kStart) {
    prefixes_.Placed(rank, HashPrompt(prefixes_.Namings(), kSalt, tokens), now);
  }

  ClusterPrefixes prefixes_;
  std::vector<uint64_t> blocks_;
};

TEST_F(ClusterPrefixesTest, CountsTheTokensOfWholeBlocksBeforeTheLastToken) {
  prefixes_.AddWorker(1, kNaming, true, 0);
  prefixes_.Change(1, {.rank = 2, .stored = Blocks(Tokens(64))});
  EXPECT_EQ(Held({1, 2}, Tokens(100)), 64u);
  EXPECT_EQ(blocks_[0], 4u);
  EXPECT_EQ(Held({1, 2}, Tokens(64)), 63u) << "one token must be computed";
  EXPECT_EQ(Held({1, 2}, Tokens(40)), 32u);
  EXPECT_EQ(Held({1, 0}, Tokens(100)), 0u);
  EXPECT_EQ(Held({1, 2}, Tokens(100), Id128{9, 9}), 0u) << "another tenant's salt";
  EXPECT_EQ(prefixes_.counts().pairs, 4u);
}

TEST_F(ClusterPrefixesTest, EachWorkerNamesBlocksItsOwnWay) {
  const BlockNaming other{"other", 32};
  prefixes_.AddWorker(1, kNaming, true, 0);
  prefixes_.AddWorker(2, other, true, 0);
  prefixes_.AddWorker(3, other, true, 0);
  EXPECT_EQ(prefixes_.Namings().size(), 2u);
  prefixes_.Change(1, {.stored = Blocks(Tokens(96))});
  prefixes_.Change(2, {.stored = Blocks(Tokens(96), other)});
  EXPECT_EQ(Held({1, 0}, Tokens(90)), 80u);
  EXPECT_EQ(Held({2, 0}, Tokens(90)), 64u);
  EXPECT_EQ(Held({3, 0}, Tokens(90)), 0u);
}

TEST_F(ClusterPrefixesTest, ARestartVoidsWhatWasTold) {
  prefixes_.AddWorker(1, kNaming, true, 0);
  prefixes_.Change(1, {.stored = Blocks(Tokens(96))});
  prefixes_.Change(1, {.restart = true, .stored = Blocks(Tokens(32))});
  EXPECT_EQ(Held({1, 0}, Tokens(96)), 32u);
  prefixes_.Change(1, {.evicted = Blocks(Tokens(16))});
  EXPECT_EQ(Held({1, 0}, Tokens(96)), 0u) << "a hole at the beginning";
  prefixes_.RemoveWorker(1);
  EXPECT_EQ(Held({1, 0}, Tokens(96)), 0u);
  EXPECT_EQ(prefixes_.counts().pairs, 0u);
  while (prefixes_.Sweep()) {
  }
  EXPECT_EQ(prefixes_.counts().blocks, 0u);
  prefixes_.Change(1, {.stored = Blocks(Tokens(32))});
  EXPECT_EQ(prefixes_.counts().pairs, 0u) << "a worker that is gone";
}

TEST_F(ClusterPrefixesTest, OwnPlacementsCountAtOnceAndAreForgottenUnlessTold) {
  prefixes_.AddWorker(1, kNaming, true, 0);
  Place({1, 0}, Tokens(64));
  EXPECT_EQ(Held({1, 0}, Tokens(80)), 64u);
  EXPECT_EQ(prefixes_.counts().pairs, 0u) << "nobody has told of them";
  prefixes_.Expire(kStart + absl::Seconds(5));
  EXPECT_EQ(Held({1, 0}, Tokens(80)), 64u);
  prefixes_.Expire(kStart + absl::Seconds(60));
  EXPECT_EQ(Held({1, 0}, Tokens(80)), 0u);
}

TEST_F(ClusterPrefixesTest, WorkersThatPublishNothingAreAssumedForLongerAndWithinTheirPages) {
  prefixes_.AddWorker(1, kNaming, false, 8);
  Place({1, 0}, Tokens(64));
  Place({1, 0}, Tokens(64, 1000), kStart + absl::Seconds(100));
  EXPECT_EQ(Held({1, 0}, Tokens(80)), 64u);
  EXPECT_EQ(Held({1, 0}, Tokens(80, 1000)), 64u);
  Place({1, 0}, Tokens(32, 2000), kStart + absl::Seconds(101));
  EXPECT_EQ(Held({1, 0}, Tokens(80)), 32u) << "8 pages: the oldest prompt's end went first";
  EXPECT_EQ(Held({1, 0}, Tokens(80, 1000)), 64u);
  prefixes_.Expire(kStart + absl::Seconds(130));
  EXPECT_EQ(Held({1, 0}, Tokens(80)), 0u);
  EXPECT_EQ(Held({1, 0}, Tokens(80, 1000)), 64u);
  Place({1, 0}, Tokens(1600, 3000), kStart + absl::Seconds(131));
  EXPECT_EQ(Held({1, 0}, Tokens(1600, 3000)), 128u) << "of a prompt larger than all, its beginning";
}

TEST_F(ClusterPrefixesTest, UsedAgainLivesLonger) {
  prefixes_.AddWorker(1, kNaming, false, 0);
  Place({1, 0}, Tokens(64));
  Place({1, 0}, Tokens(32), kStart + absl::Seconds(90));
  prefixes_.Expire(kStart + absl::Seconds(150));
  EXPECT_EQ(Held({1, 0}, Tokens(80)), 32u);
}

}  // namespace
}  // namespace baton::router
