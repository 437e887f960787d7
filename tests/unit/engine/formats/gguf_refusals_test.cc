// Wrong files, one fault each: every one must be refused with a message that names the fault.

#include <cstdint>
#include <string>

#include "engine/formats/gguf.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/gguf_writer.h"

namespace baton {
namespace {

using testing::GgufWriter;
using ::testing::HasSubstr;

void ExpectRefused(const std::string& bytes, const std::string& reason) {
  const auto file = GgufFile::FromBytes(bytes);
  ASSERT_FALSE(file.ok()) << "expected a refusal because of: " << reason;
  EXPECT_THAT(std::string(file.status().message()), HasSubstr(reason));
}

std::string Bytes(uint64_t value, size_t size = 8) {
  return std::string(reinterpret_cast<const char*>(&value), size);
}

TEST(GgufRefusals, Preamble) {
  ExpectRefused("", "magic");
  ExpectRefused("GG", "magic");
  ExpectRefused("GGML" + std::string(20, '\0'), "wrong magic");
  ExpectRefused("GGUF", "version");
  ExpectRefused(GgufWriter(1).Bytes(), "version 1");
  ExpectRefused(GgufWriter(4).Bytes(), "version 4");
  ExpectRefused(GgufWriter(0x03000000).Bytes(), "big-endian");
  ExpectRefused("GGUF" + Bytes(3, 4) + Bytes(0), "counts");
  ExpectRefused("GGUF" + Bytes(3, 4) + Bytes(0) + Bytes(~uint64_t{0}), "metadata keys");
  ExpectRefused("GGUF" + Bytes(3, 4) + Bytes(1 << 19) + Bytes(0), "number of tensors");
}

TEST(GgufRefusals, Metadata) {
  ExpectRefused(GgufWriter().AddBool("k", true).AddBool("k", true).Bytes(), "duplicate metadata key 'k'");
  ExpectRefused(GgufWriter().AddBool("", true).Bytes(), "empty");
  ExpectRefused(GgufWriter().AddRaw("k", 13, "").Bytes(), "unknown metadata type 13");
  ExpectRefused(GgufWriter().AddRaw("k", 7, "\x02").Bytes(), "boolean");
  ExpectRefused(GgufWriter().AddRaw("k", 8, Bytes(~uint64_t{0})).Bytes(), "ends inside");
  ExpectRefused(GgufWriter().AddRaw("k", 9, Bytes(9, 4) + Bytes(1)).Bytes(), "arrays of arrays");
  ExpectRefused(GgufWriter().AddRaw("k", 9, Bytes(99, 4) + Bytes(1)).Bytes(), "unknown metadata type 99");
  ExpectRefused(GgufWriter().AddRaw("k", 9, Bytes(6, 4) + Bytes(uint64_t{1} << 62)).Bytes(),
                "longer than the file");
  ExpectRefused(GgufWriter().AddRaw("k", 9, Bytes(8, 4) + Bytes(1) + Bytes(1000)).Bytes(), "ends inside");
}

TEST(GgufRefusals, KeysAreEscapedInMessages) {
  ExpectRefused(GgufWriter().AddRaw("k\x1b[2J", 77, "").Bytes(), "\\x1b");
}

TEST(GgufRefusals, TensorDescriptions) {
  const auto with = [](uint32_t type, std::vector<uint64_t> dims, uint64_t offset) {
    return GgufWriter().AddTensorInfo("t", type, dims, offset).Bytes() + std::string(4096, '\0');
  };
  ExpectRefused(with(0, {}, 0), "0 dimensions");
  ExpectRefused(with(0, {1, 1, 1, 1, 1}, 0), "5 dimensions");
  ExpectRefused(with(0, {4, 0}, 0), "dimension of 0");
  ExpectRefused(with(0, {uint64_t{1} << 63}, 0), "dimension of");
  ExpectRefused(with(0, {uint64_t{1} << 62}, 0), "overflows");
  ExpectRefused(with(0, {1 << 30, 1 << 30, 1 << 30}, 0), "overflows");
  ExpectRefused(with(7, {32}, 0), "ggml type 7");
  ExpectRefused(with(2, {33}, 0), "blocks of 32");
  ExpectRefused(with(0, {4}, 8), "not aligned");
  ExpectRefused(with(0, {4}, 4096), "beyond the end");
  ExpectRefused(with(0, {1025}, 0), "beyond the end");
  ExpectRefused(with(0, {4}, ~uint64_t{31}), "beyond the end");
}

TEST(GgufRefusals, TensorNamesAndOverlaps) {
  const std::string tail(4096, '\0');
  const auto two = [&](const char* first, const char* second, uint64_t offset) {
    return GgufWriter().AddTensorInfo(first, 0, {16}, 0).AddTensorInfo(second, 0, {16}, offset).Bytes() +
           tail;
  };
  EXPECT_TRUE(GgufFile::FromBytes(two("a", "b", 64)).ok());
  ExpectRefused(two("a", "a", 64), "duplicate tensor 'a'");
  ExpectRefused(two("", "a", 64), "no name");
  ExpectRefused(two("a", "b", 32), "overlap");
  ExpectRefused(two("a", "b", 0), "overlap");
}

}  // namespace
}  // namespace baton
