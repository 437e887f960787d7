// The disk tier's files: what survives a kill is a whole block or nothing.
#include "services/kv_transfer/pool/disk/disk_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "services/kv_transfer/pool/disk_books.h"
#include "tests/unit/services/kv_transfer/pool/faulty_folder.h"

namespace baton::pool {
namespace {

constexpr KvLayout kLayout{.layers = 2, .kv_heads = 1, .head_dim = 8, .dtype = KvDtype::kF16};
constexpr int64_t kSlots = 4, kSegments = 3;

Id128 TestId() {
  static uint64_t last = 0;
  return {77, ++last};
}

BlockHash Key(uint64_t n) {
  return {n * 0x9E3779B97F4A7C15u + 1, n};
}

// The one content that a block of this name has.
std::vector<std::byte> PageOf(const BlockHash& key) {
  std::mt19937_64 random(key.hi ^ key.lo);
  std::vector<std::byte> page(kLayout.PageBytes());
  for (std::byte& byte : page) byte = static_cast<std::byte>(random());
  return page;
}

DiskSpace Space(const std::string& fingerprint = "weights") {
  return MakeDiskSpace({}, fingerprint, kLayout);
}

absl::Status WriteKey(DiskLog& log, DiskBooks& books, const BlockHash& key) {
  const DiskBooks::Placed placed = books.Place(key);
  if (placed.sealed.has_value()) {
    if (absl::Status status = log.Seal(*placed.sealed); !status.ok()) return status;
  }
  const std::vector<std::byte> page = PageOf(key);
  const RecordName name{.key = key, .parent = {}, .sequence = placed.sequence, .place = placed.place};
  if (absl::Status status = log.Write(name, SumUnits(page, kLayout.UnitBytes()), page); !status.ok())
    return status;
  while (const auto dropped = books.DropOldest()) {
    if (absl::Status status = log.Drop(dropped->segment); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<DiskLog> OpenLog(FaultyDisk& disk, const DiskSpace& space = Space()) {
  return DiskLog::Open(disk.Mount(), space, TestId);
}

absl::Status ReadKey(DiskLog& log, DiskPlace place, const BlockHash& key, std::vector<std::byte>* page) {
  page->assign(kLayout.PageBytes(), std::byte{0xEE});
  std::vector<uint64_t> sums;
  return log.Read(place, key, absl::MakeSpan(*page), &sums);
}

class DiskLogTest : public testing::Test {
 protected:
  // A disk with keys 1 to n on it.
  void Fill(uint64_t n) {
    DiskLog log = *OpenLog(disk_);
    DiskBooks books(kSlots, kSegments);
    books.Recover(*log.Recover(kSegments));
    for (uint64_t i = 1; i <= n; ++i) ASSERT_EQ(WriteKey(log, books, Key(i)), absl::OkStatus());
  }
  FaultyDisk disk_{1};
};

TEST_F(DiskLogTest, FindsAfterARestartWhatWasWritten) {
  Fill(6);
  DiskLog log = *OpenLog(disk_);
  const RecoveredLog found = *log.Recover(kSegments);
  ASSERT_EQ(found.blocks.size(), 6u);
  EXPECT_EQ(found.segments.size(), 2u);
  EXPECT_EQ(found.refused, 0u);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(found.blocks[i].key, Key(i + 1));
    std::vector<std::byte> page;
    ASSERT_EQ(ReadKey(log, found.blocks[i].place, Key(i + 1), &page), absl::OkStatus());
    EXPECT_EQ(page, PageOf(Key(i + 1)));
  }
}

TEST_F(DiskLogTest, DropsTheOldestSegmentsFirst) {
  Fill(kSlots * kSegments + 1);
  const RecoveredLog found = *OpenLog(disk_)->Recover(kSegments);
  EXPECT_EQ(found.blocks.size(), static_cast<size_t>(kSlots * (kSegments - 1) + 1));
  EXPECT_EQ(found.blocks.front().key, Key(kSlots + 1));
}

TEST_F(DiskLogTest, SegmentsWhoseBlocksWereAllWrittenAgainAreDroppedInTheirTurn) {
  Fill(kSlots);
  Fill(kSlots);
  DiskLog log = *OpenLog(disk_);
  const RecoveredLog found = *log.Recover(kSegments);
  EXPECT_EQ(found.blocks.size(), static_cast<size_t>(kSlots));
  EXPECT_EQ(found.segments.size(), 2u);
  DiskBooks books(kSlots, kSegments);
  books.Recover(found);
  EXPECT_EQ(books.segments(), 2);
  for (uint64_t i = 0; i < 2 * kSlots; ++i) ASSERT_EQ(WriteKey(log, books, Key(50 + i)), absl::OkStatus());
  EXPECT_EQ(disk_.files().size(), 1u + kSegments) << "the id, and no segment too many";
}

TEST_F(DiskLogTest, RefusesAnotherFingerprintAndAnotherPool) {
  Fill(3);
  FaultyDisk copy = disk_;
  EXPECT_TRUE(OpenLog(disk_, Space("other weights"))->Recover(kSegments)->blocks.empty());
  copy.files().erase("pool.id");
  const RecoveredLog found = *OpenLog(copy)->Recover(kSegments);
  EXPECT_TRUE(found.blocks.empty());
  EXPECT_EQ(found.refused, 3u);
  EXPECT_EQ(copy.files().size(), 1u) << "segments of another pool are removed";
}

TEST_F(DiskLogTest, RefusesABlockOfAnotherNameOrPlace) {
  Fill(3);
  DiskLog log = *OpenLog(disk_);
  std::vector<std::byte> page;
  EXPECT_TRUE(absl::IsDataLoss(ReadKey(log, {1, 0}, Key(2), &page)));
  EXPECT_TRUE(absl::IsDataLoss(ReadKey(log, {1, 3}, Key(3), &page)));
  EXPECT_TRUE(absl::IsDataLoss(ReadKey(log, {9, 0}, Key(3), &page)));
  std::vector<std::byte>& file = disk_.files().begin()->second;
  const size_t record = Space().RecordBytes();
  std::copy(file.begin(), file.begin() + record, file.begin() + record);  // record 0 where 1 was
  EXPECT_TRUE(absl::IsDataLoss(ReadKey(log, {1, 1}, Key(1), &page)));
}

TEST_F(DiskLogTest, EveryDamagedByteOfARecordIsNoticed) {
  Fill(1);
  DiskLog log = *OpenLog(disk_);
  std::vector<std::byte>& file = disk_.files().begin()->second;
  std::vector<std::byte> page;
  ASSERT_EQ(ReadKey(log, {1, 0}, Key(1), &page), absl::OkStatus());
  for (std::byte& byte : file) {
    byte ^= std::byte{0x10};
    EXPECT_TRUE(absl::IsDataLoss(ReadKey(log, {1, 0}, Key(1), &page)));
    byte ^= std::byte{0x10};
  }
}

TEST_F(DiskLogTest, ShortReadsAreDataLossAndFailuresAreTold) {
  Fill(2);
  DiskLog log = *OpenLog(disk_);
  std::vector<std::byte> page;
  disk_.ShortReads(100);
  EXPECT_TRUE(absl::IsDataLoss(ReadKey(log, {1, 0}, Key(1), &page)));
  disk_.ShortReads(SIZE_MAX);
  disk_.Fail(absl::UnavailableError("input/output error"));
  EXPECT_TRUE(absl::IsUnavailable(ReadKey(log, {1, 0}, Key(1), &page)));
  disk_.Fail(absl::ResourceExhaustedError("no space left on device"));
  DiskBooks books(kSlots, kSegments);
  EXPECT_TRUE(absl::IsResourceExhausted(WriteKey(log, books, Key(9))));
}

struct Story {
  FaultyDisk disk;
  std::mt19937_64 random;
  uint64_t next_key = 0, keys = 64;  // with few keys, whole segments are superseded
  int found = 0, killed_writing = 0;

  // One life of a process that writes on whatever the life before left, and is killed: in `writing` among its
  // writes, or earlier.
  void LiveAndDie(bool writing) {
    const Kill how = random() % 2 == 0 ? Kill::kProcess : Kill::kPower;
    if (!writing) disk.KillAfter(static_cast<int>(random() % 40), how);
    auto log = OpenLog(disk);
    if (!log.ok()) return;
    auto recovered = log->Recover(kSegments);
    if (!recovered.ok()) return;
    for (const RecordName& name : recovered->blocks) {
      std::vector<std::byte> page;
      if (!ReadKey(*log, name.place, name.key, &page).ok()) continue;
      ++found;
      ASSERT_EQ(page, PageOf(name.key)) << "a torn or stale block was served";
    }
    DiskBooks books(kSlots, kSegments);
    books.Recover(*recovered);
    if (writing) disk.KillAfter(static_cast<int>(random() % 60), how);
    while (WriteKey(*log, books, Key(++next_key % keys + 1)).ok()) {
      ASSERT_LE(disk.files().size(), 1u + kSegments) << "a segment that nobody drops";
    }
    killed_writing += disk.dead();
  }
};

TEST(DiskKillTest, TenThousandKillsServeNoTornOrStaleBlock) {
  std::mt19937_64 random(2026);
  int found = 0, killed_writing = 0;
  for (int n = 0; killed_writing < 10000; ++n) {
    Story story{.disk = FaultyDisk(random()),
                .random = std::mt19937_64(random()),
                .next_key = random() % 64,
                .keys = n % 2 == 0 ? 64u : 6u};
    for (int life = 0; life < 24; ++life) {
      story.LiveAndDie(life % 6 != 5);
      if (testing::Test::HasFatalFailure()) FAIL() << "story " << n << ", life " << life;
      ASSERT_TRUE(story.disk.dead());
      story.disk.Reboot();
    }
    found += story.found;
    killed_writing += story.killed_writing;
  }
  EXPECT_GT(found, 30000) << "blocks must survive kills, or the test shows nothing";
  RecordProperty("kills_in_the_middle_of_writes", killed_writing);
  RecordProperty("blocks_found_whole", found);
  std::printf("%d kills among writes; %d blocks read whole after them\n", killed_writing, found);
}

}  // namespace
}  // namespace baton::pool
