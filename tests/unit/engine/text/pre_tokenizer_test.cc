#include "engine/text/pre_tokenizer.h"

#include <cstring>
#include <random>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/engine/text/string_source.h"

namespace baton {
namespace {

using ::testing::ElementsAre;
using testing::Fnv1a;
using ::testing::HasSubstr;

constexpr int kStrings = 4000;
constexpr int kGroup = 100;
constexpr uint32_t kBlock = 4096;
const std::string kGoldens = BATON_SOURCE_DIR "/tests/goldens/text/";

std::vector<absl::string_view> Words(const PreTokenizer& pre, absl::string_view text) {
  std::vector<absl::string_view> words;
  EXPECT_TRUE(pre.Split(text, &words));
  EXPECT_EQ(absl::StrJoin(words, ""), text);
  return words;
}

std::string PackedWords(const PreTokenizer& pre, const std::string& text) {
  std::vector<TokenId> sizes;
  for (const absl::string_view word : Words(pre, text)) sizes.push_back(static_cast<TokenId>(word.size()));
  return testing::PackIds(sizes);
}

class PreTokenizers : public ::testing::TestWithParam<const char*> {
 protected:
  PreTokenizer pre_ = *PreTokenizer::Create(GetParam());
};

TEST_P(PreTokenizers, CutsAsHuggingFaceTokenizersDoes) {
  const std::vector<std::string> golden = testing::ReadSections(kGoldens + "pre_tokenizer.txt")[GetParam()];
  ASSERT_EQ(golden.size(), kStrings / kGroup + 0x110000 / kBlock);
  const testing::StringSource source(kGoldens + "fragments.txt");
  size_t line = 0;
  for (int start = 0; start < kStrings; start += kGroup) {
    uint64_t hash = testing::kFnvStart;
    for (int i = start; i < start + kGroup; ++i) hash = Fnv1a(PackedWords(pre_, source.Make(i)), hash);
    ASSERT_EQ(testing::Hex(hash), golden[line++]) << "strings from " << start;
  }
  for (uint32_t first = 0; first < 0x110000; first += kBlock) {
    uint64_t hash = testing::kFnvStart;
    for (uint32_t c = first; c < first + kBlock; ++c) {
      if (c < 0xD800 || c >= 0xE000) hash = Fnv1a(PackedWords(pre_, testing::CodePointString(c)), hash);
    }
    ASSERT_EQ(testing::Hex(hash), golden[line++]) << "code points from " << first;
  }
}

TEST_P(PreTokenizers, KeepsEveryByteOfInvalidText) {
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    std::string text(random() % 60, '\0');
    for (char& byte : text) byte = static_cast<char>(random() % 3 == 0 ? 'a' + random() % 3 : random() % 256);
    Words(pre_, text);
  }
}

TEST_P(PreTokenizers, LongRunsStayWithinTheLimits) {
  constexpr size_t kLength = 1 << 20;
  for (const char* unit : {"a", " ", "\n", " \n", "1", "!", "\xE3\x80\x80", "\xCC\x81", "\xFF", "'", " a"}) {
    std::string text;
    while (text.size() < kLength) text += unit;
    Words(pre_, text);
    Words(pre_, text + "x");
    Words(pre_, text + "\n");
  }
}

INSTANTIATE_TEST_SUITE_P(All, PreTokenizers, ::testing::Values("smollm", "gpt-2", "llama-bpe", "qwen2"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(PreTokenizer, Samples) {
  EXPECT_THAT(Words(*PreTokenizer::Create("smollm"), "I'll  pay $42!"),
              ElementsAre("I", "'ll", " ", " pay", " $", "4", "2", "!"));
  EXPECT_THAT(Words(*PreTokenizer::Create("smollm"), "a   7"), ElementsAre("a", "   ", "7"));
  EXPECT_THAT(Words(*PreTokenizer::Create("gpt-2"), "a   7"), ElementsAre("a", "  ", " 7"));
  EXPECT_THAT(Words(*PreTokenizer::Create("llama-bpe"), "12345 I'LL\n\n"),
              ElementsAre("123", "45", " I", "'LL", "\n\n"));
  EXPECT_THAT(Words(*PreTokenizer::Create("qwen2"), "123"), ElementsAre("1", "2", "3"));
  EXPECT_THAT(Words(*PreTokenizer::Create("default"), ""), ElementsAre());
}

TEST(PreTokenizer, UnknownNamesAreRefusedByName) {
  const auto pre = PreTokenizer::Create("tekken");
  EXPECT_EQ(pre.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(pre.status().message()), HasSubstr("tekken"));
}

}  // namespace
}  // namespace baton
