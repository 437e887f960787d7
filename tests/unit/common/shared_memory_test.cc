#include "common/shared_memory.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "common/checksum.h"

namespace baton {
namespace {

TEST(SharedMemoryTest, AMappingSeesWhatIsWritten) {
  const auto memory = SharedMemory::Create(1 << 20);
  ASSERT_TRUE(memory.ok());
  const auto mapping = SharedMapping::Open((*memory)->name());
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  ASSERT_EQ((*mapping)->span().size(), size_t{1} << 20);
  (*memory)->span()[12345] = std::byte{7};
  EXPECT_EQ((*mapping)->span()[12345], std::byte{7});
}

TEST(SharedMemoryTest, AnotherFileHostOrProcessIsRefused) {
  const auto memory = SharedMemory::Create(4096);
  ASSERT_TRUE(memory.ok());
  SharedMemoryName name = (*memory)->name();
  ++name.inode;
  EXPECT_FALSE(SharedMapping::Open(name).ok());
  name = (*memory)->name();
  name.bytes = 8192;
  EXPECT_FALSE(SharedMapping::Open(name).ok());
  name = (*memory)->name();
  ++name.host[0];
  EXPECT_FALSE(SharedMapping::Open(name).ok());
  name = (*memory)->name();
  name.file = 0;
  EXPECT_FALSE(SharedMapping::Open(name).ok());
  name = (*memory)->name();
  name.process = -1;
  EXPECT_FALSE(SharedMapping::Open(name).ok());
}

TEST(SharedMemoryTest, OutlivesTheProcessThatSharedIt) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto memory = SharedMemory::Create(1 << 20);
    std::memset((*memory)->span().data(), 5, 1 << 20);
    const SharedMemoryName name = (*memory)->name();
    if (write(ends[1], &name, sizeof name) != sizeof name) _exit(1);
    pause();
  }
  SharedMemoryName name;
  ASSERT_EQ(read(ends[0], &name, sizeof name), static_cast<ssize_t>(sizeof name));
  const auto mapping = SharedMapping::Open(name);
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  pollfd end = {(*mapping)->process_end(), POLLIN, 0};
  EXPECT_EQ(poll(&end, 1, 0), 0);
  kill(child, SIGKILL);
  EXPECT_EQ(poll(&end, 1, 10000), 1) << "its end is noticed";
  waitpid(child, nullptr, 0);
  for (const std::byte byte : (*mapping)->span()) ASSERT_EQ(byte, std::byte{5});
  EXPECT_FALSE(SharedMapping::Open(name).ok());
  close(ends[0]);
  close(ends[1]);
}

TEST(ChecksumTest, IsXxh3WhateverTheLength) {
  // Of the bytes i * 131 mod 256, by the reference implementation.
  std::vector<std::byte> bytes(8192);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 131);
  const std::pair<size_t, uint64_t> known[] = {
      {0, 0x2d06800538d394c2u},    {16, 0xa0ec5ae8679cb7fu},    {100, 0x387363ce0e6084aau},
      {200, 0x4f7ba561b80feff6u},  {240, 0xb80284837259eee4u},  {241, 0x44dbd3180a664e27u},
      {512, 0xd3a5291037dfe500u},  {1024, 0xbd7c43cd9a89cb69u}, {1025, 0x21866a1df47680ceu},
      {2048, 0xd65c6d0c8c6ab041u}, {4096, 0x6ace18948637c00bu}, {4100, 0x33b4b868827e113u},
      {8192, 0x3156a406341d18b4u}};
  for (const auto& [size, sum] : known)
    EXPECT_EQ(Checksum64(absl::MakeConstSpan(bytes).first(size)), sum) << size;
}

TEST(ChecksumTest, ACopyHasTheChecksumOfWhatItStored) {
  std::vector<std::byte> bytes(8192 + 64);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * i >> 3);
  const auto target = SharedMemory::Create(16384);
  ASSERT_TRUE(target.ok());
  for (const size_t size : {0, 1, 63, 64, 128, 192, 240, 256, 1024, 1088, 2048, 4096, 8000, 8192}) {
    for (const size_t skew : {0, 1, 32}) {
      std::memset((*target)->span().data(), 0, 16384);
      std::byte* const out = (*target)->span().data() + 64 + skew;
      const auto from = absl::MakeConstSpan(bytes).subspan(skew / 2, size);
      EXPECT_EQ(CopyChecksum64(from, out), Checksum64(from)) << size;
      EXPECT_TRUE(size == 0 || std::memcmp(out, from.data(), size) == 0);
      EXPECT_EQ(out[-1], std::byte{0});
      EXPECT_EQ(out[size], std::byte{0});
      std::memset(out, 0, size);
      CopyPastCaches(from, out);
      CopiesDone();
      EXPECT_TRUE(size == 0 || std::memcmp(out, from.data(), size) == 0);
      EXPECT_EQ(out[size], std::byte{0});
    }
  }
}

}  // namespace
}  // namespace baton
