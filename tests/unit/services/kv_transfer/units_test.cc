#include "services/kv_transfer/handoff/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/services/kv_transfer/test_kv.h"

namespace baton {
namespace {

using ::testing::ElementsAre;
using testing::kSmallLayout;

const std::vector<PageId> kPages = {4, 1, 9};  // 32 tokens each

TEST(CheckRect, RefusesWhatIsEmptyMisalignedOrOutside) {
  EXPECT_TRUE(CheckRect(kSmallLayout, {0, 32, 0, 3}, 70).ok());
  EXPECT_TRUE(CheckRect(kSmallLayout, {64, 70, 1, 2}, 70).ok());
  for (const UnitRect& bad :
       {UnitRect{0, 0, 0, 3}, UnitRect{0, 16, 2, 2}, UnitRect{8, 16, 0, 3}, UnitRect{0, 20, 0, 3},
        UnitRect{64, 80, 0, 3}, UnitRect{-16, 16, 0, 3}, UnitRect{0, 16, -1, 3}, UnitRect{0, 16, 0, 4}}) {
    EXPECT_FALSE(CheckRect(kSmallLayout, bad, 70).ok()) << bad.begin << " " << bad.end;
  }
}

TEST(RectRanges, MergesWholeAtomsOfAPage) {
  const size_t page = kSmallLayout.PageBytes();
  EXPECT_THAT(RectRanges(kSmallLayout, {0, 64, 0, 3}, {0, 0, kPages}),
              ElementsAre(ByteRange{0, 4 * page, page}, ByteRange{0, page, page}));
}

TEST(RectRanges, TakesSomeLayersOfEachAtom) {
  const size_t layer = kSmallLayout.LayerBytes(), atom = kSmallLayout.AtomBytes(),
               page = kSmallLayout.PageBytes();
  EXPECT_THAT(
      RectRanges(kSmallLayout, {16, 48, 1, 3}, {2, 0, kPages}),
      ElementsAre(ByteRange{2, 4 * page + atom + layer, 2 * layer}, ByteRange{2, page + layer, 2 * layer}));
}

TEST(RectRanges, MovesOnlyTheValidRowsOfTheTail) {
  const auto ranges = RectRanges(kSmallLayout, {64, 69, 0, 3}, {0, 0, kPages});
  ASSERT_EQ(ranges.size(), 3u * kSmallLayout.UnitsPerLayer());
  for (size_t i = 0; i < ranges.size(); ++i) {
    EXPECT_EQ(ranges[i].offset, 9 * kSmallLayout.PageBytes() + i * kSmallLayout.UnitBytes());
    EXPECT_EQ(ranges[i].length, 5 * kSmallLayout.RowBytes());
  }
}

TEST(RectCopies, ListTheSameBytesAsRangesInTheSameOrder) {
  const std::vector<PageId> local = {3, 0, 7};
  const UnitRect rect{16, 69, 0, 2};
  const PageMap remote{5, 0, kPages};
  const auto copies = RectCopies(rect, kSmallLayout, remote, kSmallLayout, {0, 0, local});
  size_t total = 0;
  for (const CopyOp& op : copies) total += op.length;
  EXPECT_EQ(total, RectBytes(kSmallLayout, rect));
  std::vector<std::pair<uint64_t, uint64_t>> from_copies, from_ranges;  // every byte run of one row
  const size_t row = kSmallLayout.RowBytes();
  for (const CopyOp& op : copies) {
    for (uint64_t at = 0; at < op.length; at += row) from_copies.emplace_back(op.remote_offset + at, row);
  }
  for (const ByteRange& range : RectRanges(kSmallLayout, rect, remote)) {
    for (uint64_t at = 0; at < range.length; at += row) from_ranges.emplace_back(range.offset + at, row);
  }
  EXPECT_EQ(from_copies, from_ranges);
}

TEST(RectCopies, CountsPagesFromTheFirstTokenOfTheMap) {
  const std::vector<PageId> remote_tail = {9};  // holds tokens from 64 on
  const auto copies =
      RectCopies({64, 80, 0, 3}, kSmallLayout, {0, 64, remote_tail}, kSmallLayout, {0, 0, kPages});
  ASSERT_EQ(copies.size(), 1u);
  EXPECT_EQ(copies[0].remote_offset, 9 * kSmallLayout.PageBytes());
  EXPECT_EQ(copies[0].local_offset, 9 * kSmallLayout.PageBytes());
}

TEST(SplitRect, CoversAllOnceWithinTheBound) {
  for (const size_t most :
       {size_t{1}, kSmallLayout.LayerBytes() * 2, kSmallLayout.AtomBytes() * 2, size_t{1} << 20}) {
    const UnitRect rect{16, 69, 0, 3};
    UnitGrid grid(5, 3);
    size_t bytes = 0;
    for (const UnitRect& part : SplitRect(kSmallLayout, rect, most)) {
      EXPECT_FALSE(grid.Any(part));
      grid.Set(part);
      bytes += RectBytes(kSmallLayout, part);
      EXPECT_LE(RectBytes(kSmallLayout, part), std::max(most, kSmallLayout.LayerBytes()));
      EXPECT_TRUE(part.layers() == rect.layers() || part.atoms() == 1);
    }
    EXPECT_TRUE(grid.All(rect));
    EXPECT_EQ(bytes, RectBytes(kSmallLayout, rect));
  }
}

TEST(RectChecks, PairsUnitsWithChecksumsInOrder) {
  std::vector<uint64_t> sums(RectUnits(kSmallLayout, {64, 69, 1, 3}));
  for (size_t i = 0; i < sums.size(); ++i) sums[i] = i;
  const auto checks = RectChecks(kSmallLayout, {64, 69, 1, 3}, {0, 0, kPages}, sums);
  ASSERT_EQ(checks.size(), 2u * kSmallLayout.UnitsPerLayer());
  const size_t start = 9 * kSmallLayout.PageBytes() + kSmallLayout.LayerBytes();
  for (size_t i = 0; i < checks.size(); ++i) {
    EXPECT_EQ(checks[i].checksum, i);
    EXPECT_EQ(checks[i].range,
              (ByteRange{0, start + i * kSmallLayout.UnitBytes(), 5 * kSmallLayout.RowBytes()}));
  }
}

}  // namespace
}  // namespace baton
