// Ids, hashes, checksums and the KV layout.

#include <gtest/gtest.h>

#include <set>
#include <unordered_set>

#include "common/block_hash.h"
#include "common/checksum.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/keyed_random.h"
#include "common/kv_layout.h"

namespace baton {
namespace {

TEST(Id128Test, IsComparedAndPrinted) {
  const Id128 id{0x0123456789abcdef, 0x1};
  EXPECT_EQ(id.ToHex(), "0123456789abcdef0000000000000001");
  EXPECT_FALSE(id.empty());
  EXPECT_TRUE(Id128{}.empty());
  EXPECT_LT((Id128{1, 9}), (Id128{2, 0}));
}

TEST(Id128Test, RandomOnesDiffer) {
  std::set<Id128> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(RandomId128());
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(AttemptTest, IsComparedByClaimThenN) {
  EXPECT_LT((Attempt{1, 9}), (Attempt{2, 0}));
  EXPECT_LT((Attempt{2, 0}), (Attempt{2, 1}));
}

TEST(BlockHashTest, NamesAPrefix) {
  const BlockHash root = RootBlockHash("model", {1, 2});
  const std::vector<TokenId> tokens = {1, 2, 3, 4, 5, 6, 7};
  const std::vector<BlockHash> hashes = BlockHashes(root, tokens, 2);
  ASSERT_EQ(hashes.size(), 3u);  // the seventh token fills no block
  EXPECT_EQ(hashes[0], NextBlockHash(root, {1, 2}));
  EXPECT_EQ(hashes[1], NextBlockHash(hashes[0], {3, 4}));
  EXPECT_EQ(BlockHashes(root, {1, 2, 3, 4}, 2)[1], hashes[1]);
  EXPECT_NE(BlockHashes(root, {9, 2, 3, 4}, 2)[1], hashes[1]);
  EXPECT_NE(BlockHashes(root, {1, 2, 3, 4}, 4)[0], hashes[1]);
}

TEST(BlockHashTest, FingerprintsAndSaltsShareNothing) {
  const std::vector<TokenId> tokens = {1, 2};
  std::set<BlockHash> seen;
  for (const char* fingerprint : {"a", "b"}) {
    for (const Id128& salt : {Id128{}, Id128{0, 1}, Id128{1, 0}}) {
      seen.insert(BlockHashes(RootBlockHash(fingerprint, salt), tokens, 2)[0]);
    }
  }
  EXPECT_EQ(seen.size(), 6u);
}

TEST(TokenDigestTest, CoversEveryTokenAndTheLength) {
  EXPECT_EQ(TokenDigest({1, 2, 3}), TokenDigest({1, 2, 3}));
  EXPECT_NE(TokenDigest({1, 2, 3}), TokenDigest({1, 2}));
  EXPECT_NE(TokenDigest({1, 2, 3}), TokenDigest({1, 3, 2}));
  EXPECT_NE(TokenDigest({}), TokenDigest({0}));
}

TEST(ChecksumTest, SeesEveryBit) {
  std::vector<std::byte> bytes(100);
  const uint64_t before = Checksum64(bytes);
  for (int bit = 0; bit < 800; ++bit) {
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_NE(Checksum64(bytes), before);
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  EXPECT_EQ(Checksum64(bytes), before);
  EXPECT_NE(Checksum64(absl::MakeConstSpan(bytes).first(99)), before);
}

TEST(KvLayoutTest, UnitsTileThePage) {
  const KvLayout layout{
      .layers = 3, .kv_heads = 2, .head_dim = 8, .dtype = KvDtype::kF16, .atoms_per_page = 2};
  EXPECT_EQ(layout.PageTokens(), 32);
  EXPECT_EQ(layout.UnitBytes(), 16u * 8 * 2);
  EXPECT_EQ(layout.PageBytes(), layout.UnitBytes() * 3 * 2 * 2 * 2);
  std::set<size_t> offsets;
  for (int atom = 0; atom < 2; ++atom) {
    for (int layer = 0; layer < 3; ++layer) {
      for (KvSide side : {KvSide::kKey, KvSide::kValue}) {
        for (int head = 0; head < 2; ++head) offsets.insert(layout.UnitOffset(atom, layer, side, head));
      }
    }
  }
  ASSERT_EQ(offsets.size(), layout.PageBytes() / layout.UnitBytes());
  size_t expected = 0;
  for (size_t offset : offsets) {
    EXPECT_EQ(offset, expected);
    expected += layout.UnitBytes();
  }
  EXPECT_EQ(layout.PagesFor(0), 0);
  EXPECT_EQ(layout.PagesFor(32), 1);
  EXPECT_EQ(layout.PagesFor(33), 2);
}

TEST(KeyedRandomTest, AgreesWithThePublishedVectors) {
  using Block = std::array<uint32_t, 4>;
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(Philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(KeyedRandomTest, IsUniformInTheUnitInterval) {
  double sum = 0;
  for (int i = 0; i < 100000; ++i) {
    const double u = KeyedUniform(7, 0, i);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
  }
  EXPECT_NEAR(sum / 100000, 0.5, 0.005);
}

TEST(ClockTest, SteadyTimeNeverGoesBack) {
  const SteadyClock clock;
  MonoTime last = clock.Now();
  for (int i = 0; i < 1000; ++i) {
    const MonoTime now = clock.Now();
    EXPECT_LE(last, now);
    last = now;
  }
  ManualClock manual;
  const MonoTime start = manual.Now();
  manual.Advance(absl::Seconds(3));
  EXPECT_EQ(manual.Now() - start, absl::Seconds(3));
}

}  // namespace
}  // namespace baton
