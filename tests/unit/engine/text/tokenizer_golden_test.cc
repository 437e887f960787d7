// Against Hugging Face `tokenizers` (tests/scripts/text/tokenizer_goldens.py): 20,000 strings and every code
// point.

#include <cstdlib>
#include <memory>
#include <random>
#include <sstream>

#include "engine/text/tokenizer.h"
#include "engine/text/utf8.h"
#include "gtest/gtest.h"
#include "tests/unit/engine/text/string_source.h"

namespace baton {
namespace {

using testing::Fnv1a;
using testing::Hex;

constexpr int kGroup = 100;
constexpr uint32_t kBlock = 4096;
const std::string kGoldens = BATON_SOURCE_DIR "/tests/goldens/text/";

class TokenizerGolden : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* path = std::getenv("BATON_TEST_MODEL");
    if (path == nullptr) GTEST_SKIP() << "BATON_TEST_MODEL is not set";
    const auto file = GgufFile::Open(path);
    ASSERT_TRUE(file.ok()) << file.status();
    auto tokenizer = Tokenizer::FromGguf(**file);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = *std::move(tokenizer);
    golden_ = testing::ReadSections(kGoldens + "tokenizer.txt");
  }

  std::unique_ptr<Tokenizer> tokenizer_;
  std::map<std::string, std::vector<std::string>> golden_;
  testing::StringSource source_{kGoldens + "fragments.txt"};
};

TEST_F(TokenizerGolden, FirstCasesInFull) {
  const std::vector<std::string>& cases = golden_["cases"];
  ASSERT_GE(cases.size(), 300u);
  for (size_t i = 0; i < cases.size(); ++i) {
    std::vector<TokenId> expected;
    std::istringstream line(cases[i]);
    for (TokenId id = 0; line >> id;) expected.push_back(id);
    const std::string text = source_.Make(static_cast<int>(i));
    ASSERT_EQ(tokenizer_->Encode(text, testing::KnowsSpecials(static_cast<int>(i))), expected)
        << "string " << i << ": " << text;
  }
}

TEST_F(TokenizerGolden, TwentyThousandStringsEncodeAndDecode) {
  const std::vector<std::string>& groups = golden_["groups"];
  ASSERT_EQ(groups.size(), testing::kReferenceStrings / kGroup);
  for (int start = 0; start < testing::kReferenceStrings; start += kGroup) {
    uint64_t text_hash = testing::kFnvStart;
    uint64_t ids_hash = text_hash;
    uint64_t plain_hash = text_hash;
    uint64_t special_hash = text_hash;
    for (int i = start; i < start + kGroup; ++i) {
      const std::string text = source_.Make(i);
      const std::vector<TokenId> ids = tokenizer_->Encode(text, testing::KnowsSpecials(i));
      StreamDecoder stream(*tokenizer_);
      std::string streamed;
      for (const TokenId id : ids) streamed += stream.Append(id);
      streamed += stream.Flush();
      text_hash = Fnv1a(testing::PackText(text), text_hash);
      ids_hash = Fnv1a(testing::PackIds(ids), ids_hash);
      plain_hash = Fnv1a(testing::PackText(streamed), plain_hash);
      special_hash =
          Fnv1a(testing::PackText(ReplaceInvalidUtf8(tokenizer_->Decode(ids, true))), special_hash);
    }
    ASSERT_EQ(Hex(text_hash) + " " + Hex(ids_hash) + " " + Hex(plain_hash) + " " + Hex(special_hash),
              groups[static_cast<size_t>(start / kGroup)])
        << "strings " << start << " to " << start + kGroup - 1;
  }
}

TEST_F(TokenizerGolden, EveryCodePoint) {
  const std::vector<std::string>& points = golden_["codepoints"];
  ASSERT_EQ(points.size(), 0x110000 / kBlock);
  for (uint32_t first = 0; first < 0x110000; first += kBlock) {
    uint64_t hash = testing::kFnvStart;
    for (uint32_t c = first; c < first + kBlock; ++c) {
      if (c >= 0xD800 && c < 0xE000) continue;
      hash = Fnv1a(testing::PackIds(tokenizer_->Encode(testing::CodePointString(c), false)), hash);
    }
    ASSERT_EQ(Hex(hash), points[first / kBlock]) << "code points from " << first;
  }
}

TEST_F(TokenizerGolden, RawBytesRoundTripExceptThoseWithoutAToken) {
  std::string known;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    if (!tokenizer_->Encode(one, false).empty()) known += one;
  }
  EXPECT_EQ(known.size(), 256u - 21u) << "the default file's vocabulary lacks 21 bytes";
  std::mt19937 random(3);
  for (int round = 0; round < 5000; ++round) {
    std::string text(random() % 100, '\0');
    for (char& byte : text) byte = static_cast<char>(random() % 256);
    std::string expected;
    for (const char byte : text) {
      if (known.find(byte) != std::string::npos) expected.push_back(byte);
    }
    ASSERT_EQ(tokenizer_->Decode(tokenizer_->Encode(text, false), false), expected);
  }
}

TEST_F(TokenizerGolden, FactsOfTheDefaultFile) {
  EXPECT_EQ(tokenizer_->vocab_size(), 49152);
  EXPECT_FALSE(tokenizer_->add_bos());
  EXPECT_EQ(tokenizer_->bos_text(), "<|im_start|>");
  EXPECT_EQ(tokenizer_->eos_text(), "<|im_end|>");
  EXPECT_EQ(tokenizer_->eos_tokens(), (std::vector<TokenId>{2, 0}));
  EXPECT_TRUE(tokenizer_->IsSpecial(1));
  EXPECT_FALSE(tokenizer_->IsSpecial(17));
}

}  // namespace
}  // namespace baton
