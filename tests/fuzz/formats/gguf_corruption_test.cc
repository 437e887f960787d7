// 10,000 seeded corruptions of a small file and of the header of the real one: each parses or is refused, and
// what parses can be read to its last byte. Sanitizer presets run the same test.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/formats/gguf.h"
#include "engine/formats/gguf_parse.h"
#include "engine/formats/mapped_file.h"
#include "gtest/gtest.h"
#include "tests/support/gguf_writer.h"

namespace baton {
namespace {

constexpr int kRounds = 10000;

std::string SmallFile() {
  testing::GgufWriter writer;
  writer.AddString("general.architecture", "llama").AddUint32("general.alignment", 32).AddFloat("eps", 1e-5f);
  writer.AddBool("flag", false).AddStrings("tokens", {"a", "b", "ab", std::string(40, 'x')});
  writer.AddInts("types", {1, 2, 3}).AddFloats("scores", {1, 2});
  writer.AddF32("norm", {8}, std::vector<float>(8, 1.0f));
  writer.AddTensor("q4", GgmlType::kQ4_0, {32, 3}, std::string(54, '\3'));
  writer.AddTensor("q8", GgmlType::kQ8_0, {32, 2}, std::string(68, '\5'));
  return writer.Bytes();
}

// Remembers what it changed, so that one copy of the header serves every round.
class Corruption {
 public:
  Corruption(std::string& bytes, std::mt19937_64& random) : bytes_(bytes) {
    length_ = random() % 3 == 0 ? random() % (bytes.size() + 1) : bytes.size();
    const int flips = length_ == bytes.size() || random() % 2 == 0 ? 1 + static_cast<int>(random() % 4) : 0;
    for (int i = 0; i < flips && length_ > 0; ++i) {
      const size_t at = random() % 4 == 0 ? random() % std::min<size_t>(length_, 256) : random() % length_;
      old_.emplace_back(at, bytes_[at]);
      bytes_[at] = static_cast<char>(bytes_[at] ^ (1 << (random() % 8)));
    }
  }
  ~Corruption() {
    for (auto it = old_.rbegin(); it != old_.rend(); ++it) bytes_[it->first] = it->second;
  }
  Corruption(const Corruption&) = delete;
  Corruption& operator=(const Corruption&) = delete;
  size_t length() const { return length_; }

 private:
  std::string& bytes_;
  size_t length_;
  std::vector<std::pair<size_t, char>> old_;
};

uint64_t TouchEverything(const GgufFile& file) {
  uint64_t sum = 0;
  for (const char* key :
       {"general.architecture", "general.alignment", "eps", "flag", "tokens", "types", "scores"}) {
    if (const auto value = file.GetInt(key); value.ok()) sum += static_cast<uint64_t>(*value);
    if (const auto value = file.GetString(key); value.ok()) sum += value->size();
    if (const auto values = file.GetInts(key); values.ok()) sum += values->size();
    if (const auto values = file.GetFloats(key); values.ok()) sum += values->size();
    if (const auto values = file.GetStrings(key); values.ok()) {
      for (const absl::string_view value : *values) sum += std::hash<std::string>{}(std::string(value));
    }
  }
  for (const GgufTensor& tensor : file.tensors()) {
    for (const std::byte value : tensor.data) sum += static_cast<uint64_t>(value);
  }
  return sum;
}

TEST(GgufCorruption, SmallFile) {
  std::string bytes = SmallFile();
  ASSERT_TRUE(GgufFile::FromBytes(bytes).ok());
  std::mt19937_64 random(20240601);
  int accepted = 0;
  uint64_t sum = 0;
  for (int round = 0; round < kRounds; ++round) {
    const Corruption corruption(bytes, random);
    const auto file = GgufFile::FromBytes(bytes.substr(0, corruption.length()));
    if (!file.ok()) {
      EXPECT_FALSE(file.status().message().empty());
      continue;
    }
    ++accepted;
    sum += TouchEverything(**file);
  }
  RecordProperty("accepted", accepted);
  EXPECT_GT(accepted, 0) << sum;
  EXPECT_LT(accepted, kRounds);
  EXPECT_TRUE(GgufFile::FromBytes(bytes).ok()) << "a round did not restore the bytes";
}

TEST(GgufCorruption, HeaderOfTheRealModel) {
  const char* path = std::getenv("BATON_TEST_MODEL");
  if (path == nullptr) GTEST_SKIP() << "BATON_TEST_MODEL is not set";
  const auto mapped = MappedFile::Open(path);
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  const uint64_t file_bytes = mapped->bytes().size();
  const auto whole = ParseGguf(mapped->bytes(), file_bytes);
  ASSERT_TRUE(whole.ok()) << whole.status();
  uint64_t header_bytes = file_bytes;
  for (const GgufTensorInfo& info : whole->tensors) header_bytes = std::min(header_bytes, info.file_offset);
  std::string head(reinterpret_cast<const char*>(mapped->bytes().data()), header_bytes);
  std::mt19937_64 random(20240602);
  int accepted = 0;
  for (int round = 0; round < kRounds; ++round) {
    const Corruption corruption(head, random);
    const auto* begin = reinterpret_cast<const std::byte*>(head.data());
    const auto parsed = ParseGguf(absl::MakeConstSpan(begin, corruption.length()), file_bytes);
    if (!parsed.ok()) continue;
    ++accepted;
    for (const GgufTensorInfo& info : parsed->tensors) {
      ASSERT_LE(info.file_offset, file_bytes);
      ASSERT_LE(info.bytes, file_bytes - info.file_offset);
    }
  }
  RecordProperty("accepted", accepted);
  EXPECT_LT(accepted, kRounds);
}

}  // namespace
}  // namespace baton
