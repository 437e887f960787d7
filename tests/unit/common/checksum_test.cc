#include "common/checksum.h"

#include <gtest/gtest.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>
#include <random>
#include <vector>

namespace baton {
namespace {

std::vector<std::byte> RandomBytes(size_t size) {
  std::mt19937 rng(7);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng());
  return bytes;
}

// Around every border: short and long form, stripes of 64 bytes, blocks of 1 KiB.
std::vector<size_t> Sizes() {
  std::vector<size_t> sizes = {0, 1, 3, 16, 128, 240, 241, 18432};
  for (const size_t border : {256, 1024, 2048, 3072, 4096}) {
    for (int off = -65; off <= 65; ++off) sizes.push_back(border + off);
  }
  return sizes;
}

TEST(ChecksumTest, IsXxh3OfEverySize) {
  const std::vector<std::byte> bytes = RandomBytes(1 << 15);
  for (const size_t size : Sizes()) {
    for (const size_t from : {0, 1, 63}) {
      ASSERT_EQ(Checksum64({bytes.data() + from, size}), XXH3_64bits(bytes.data() + from, size))
          << size << " bytes from " << from;
    }
  }
}

TEST(ChecksumTest, ACopySumsWhatItStored) {
  const std::vector<std::byte> bytes = RandomBytes(1 << 15);
  std::vector<std::byte> memory((1 << 15) + 128);
  for (const size_t size : Sizes()) {
    for (const size_t to : {0, 1, 64}) {
      const auto first = (reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64;
      auto* const out = reinterpret_cast<std::byte*>(first) + to;
      std::memset(memory.data(), 0, memory.size());
      ASSERT_EQ(CopyChecksum64({bytes.data(), size}, out), XXH3_64bits(bytes.data(), size)) << size;
      CopiesDone();
      ASSERT_EQ(std::memcmp(out, bytes.data(), size), 0) << size;
      if (out + size < memory.data() + memory.size()) {
        EXPECT_EQ(out[size], std::byte{0}) << "wrote past " << size;
      }
    }
  }
}

TEST(ChecksumTest, APlainCopyIsOne) {
  const std::vector<std::byte> bytes = RandomBytes(8192);
  alignas(64) static std::byte out[8192];
  CopyPastCaches(bytes, out);
  CopiesDone();
  EXPECT_EQ(std::memcmp(out, bytes.data(), bytes.size()), 0);
}

}  // namespace
}  // namespace baton
