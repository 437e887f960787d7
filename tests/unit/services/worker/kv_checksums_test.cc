#include "services/worker/kv_checksums.h"

#include <gtest/gtest.h>

#include "common/checksum.h"
#include "tests/support/fake_runner.h"

namespace baton {
namespace {

struct KvChecksumsTest : testing::Test {
  KvChecksumsTest() : runner(Options()), sums(&runner) {
    for (TokenId i = 0; i < 72; ++i) spec.tokens.push_back(i % 60);
    spec.prompt_tokens = 72;
    runner.Fill(spec.tokens, pages);
    sums.Begin(1, spec.tokens, spec.cache_salt);
  }
  static FakeRunnerOptions Options() {
    FakeRunnerOptions options;
    options.layout.atoms_per_page = 2;
    options.layout.kv_heads = 2;
    return options;
  }
  ComputedEvent Event(int64_t begin, int64_t end, int first_layer, int end_layer, bool cached) {
    return {1, begin, end, first_layer, end_layer, pages, cached};
  }
  uint64_t Expected(int64_t atom, int layer, int unit, int64_t rows) {
    const KvLayout& layout = runner.kv_layout();
    const std::byte* page = runner.PageData(pages[atom / 2]);
    const size_t offset = layout.UnitOffset(atom % 2, layer, static_cast<KvSide>(unit / 2), unit % 2);
    return Checksum64({page + offset, rows * layout.RowBytes()});
  }

  FakeRunner runner;
  KvChecksums sums;
  SequenceSpec spec;
  std::vector<PageId> pages = {5, 2, 9};
};

TEST_F(KvChecksumsTest, OrderIsAtomLayerUnitAndTheTailIsShort) {
  const std::vector<uint64_t> got = sums.Computed(Event(40, 72, 0, 2, false));
  ASSERT_EQ(got.size(), 3u * 2 * 4);
  size_t i = 0;
  for (int64_t atom = 2; atom < 5; ++atom) {
    for (int layer = 0; layer < 2; ++layer) {
      for (int unit = 0; unit < 4; ++unit)
        EXPECT_EQ(got[i++], Expected(atom, layer, unit, atom == 4 ? 8 : 16));
    }
  }
}

TEST_F(KvChecksumsTest, APartialAtomWaitsForTheNextChunk) {
  EXPECT_EQ(sums.Computed(Event(0, 10, 0, 1, false)).size(), 0u);
  EXPECT_EQ(sums.Computed(Event(10, 40, 0, 1, false)).size(), 2u * 4);
}

TEST_F(KvChecksumsTest, ACachedPageKeepsTheSumOfItsFirstBytes) {
  const std::vector<uint64_t> first = sums.Computed(Event(0, 64, 0, 2, false));
  sums.Begin(2, spec.tokens, spec.cache_salt);
  runner.PageData(5)[3] ^= std::byte{1};
  ComputedEvent again = Event(0, 64, 0, 2, true);
  again.id = 2;
  EXPECT_EQ(sums.Computed(again), first);
  EXPECT_NE(first[0], Expected(0, 0, 0, 16));
}

TEST_F(KvChecksumsTest, APageReusedForOtherTokensIsSummedAgain) {
  sums.Computed(Event(0, 64, 0, 2, false));
  SequenceSpec other = spec;
  other.tokens[0] = 59;
  runner.Fill(other.tokens, pages);
  sums.Begin(2, other.tokens, other.cache_salt);
  ComputedEvent event = Event(0, 64, 0, 2, true);
  event.id = 2;
  EXPECT_EQ(sums.Computed(event)[0], Expected(0, 0, 0, 16));
}

TEST_F(KvChecksumsTest, AnUnknownSequenceHasNone) {
  sums.End(1);
  EXPECT_TRUE(sums.Computed(Event(0, 64, 0, 2, false)).empty());
}

}  // namespace
}  // namespace baton
