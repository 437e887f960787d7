#include "engine/text/tokenizer.h"

#include <random>

#include "engine/text/byte_alphabet.h"
#include "engine/text/utf8.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/gguf_writer.h"

namespace baton {
namespace {

using ::testing::ElementsAre;
using testing::GgufWriter;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr TokenId kControl = 256;      // <|im_end|>
constexpr TokenId kUserDefined = 257;  // <think>
constexpr TokenId kLonger = 258;       // <|im_end|>!
constexpr TokenId kAb = 259;
constexpr TokenId kAbc = 260;

// Bytes in order, then the tokens above.
GgufWriter Vocabulary(const std::string& pre = "gpt-2") {
  std::vector<std::string> tokens;
  std::vector<int32_t> types(261, 1);
  for (int byte = 0; byte < 256; ++byte)
    tokens.push_back(BytesToAlphabet(std::string(1, static_cast<char>(byte))));
  for (const char* text : {"<|im_end|>", "<think>", "<|im_end|>!", "ab", "abc"}) tokens.push_back(text);
  types[kControl] = types[kLonger] = 3;
  types[kUserDefined] = 4;
  GgufWriter writer;
  writer.AddString("tokenizer.ggml.model", "gpt2").AddString("tokenizer.ggml.pre", pre);
  writer.AddStrings("tokenizer.ggml.tokens", tokens).AddInts("tokenizer.ggml.token_type", types);
  return writer;
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Load(const GgufWriter& writer) {
  const auto file = GgufFile::FromBytes(writer.Bytes());
  if (!file.ok()) return file.status();
  return Tokenizer::FromGguf(**file);
}

std::unique_ptr<Tokenizer> Default() {
  return *Load(
      Vocabulary().AddStrings("tokenizer.ggml.merges", {"a b"}).AddUint32("tokenizer.ggml.eos_token_id", 0));
}

TEST(Tokenizer, SpecialTokensAreTextUnlessAsked) {
  const auto tokenizer = Default();
  EXPECT_THAT(tokenizer->Encode("ab<|im_end|>c", true), ElementsAre(kAb, kControl, 'c'));
  const std::vector<TokenId> plain = tokenizer->Encode("ab<|im_end|>c", false);
  EXPECT_EQ(plain.size(), 12u);
  EXPECT_EQ(tokenizer->Decode(plain, false), "ab<|im_end|>c");
}

TEST(Tokenizer, LongestSpecialTokenWins) {
  const auto tokenizer = Default();
  EXPECT_THAT(tokenizer->Encode("<|im_end|>!<|im_end|><|im_end|", true),
              ElementsAre(kLonger, kControl, '<', '|', 'i', 'm', '_', 'e', 'n', 'd', '|'));
}

TEST(Tokenizer, UserDefinedTokensAreAlwaysMatchedAndShown) {
  const auto tokenizer = Default();
  EXPECT_THAT(tokenizer->Encode("a<think>", false), ElementsAre('a', kUserDefined));
  EXPECT_FALSE(tokenizer->IsSpecial(kUserDefined));
  EXPECT_EQ(tokenizer->Decode({kUserDefined, kControl}, false), "<think>");
  EXPECT_EQ(tokenizer->Decode({kUserDefined, kControl}, true), "<think><|im_end|>");
}

TEST(Tokenizer, IdsOutOfRangeDecodeToNothing) {
  const auto tokenizer = Default();
  EXPECT_EQ(tokenizer->Decode({-1, 'x', 261, 1 << 30}, true), "x");
  EXPECT_EQ(tokenizer->TokenBytes(-7), "");
  EXPECT_FALSE(tokenizer->IsSpecial(9999));
}

TEST(Tokenizer, EndsOfTurn) {
  EXPECT_THAT(Default()->eos_tokens(), UnorderedElementsAre(0, kControl));
  EXPECT_EQ(Default()->bos_token(), -1);
  EXPECT_EQ(Default()->bos_text(), "");
  const auto with_eot = Load(
      Vocabulary().AddUint32("tokenizer.ggml.eot_token_id", 7).AddUint32("tokenizer.ggml.bos_token_id", 'B'));
  ASSERT_TRUE(with_eot.ok());
  EXPECT_THAT((*with_eot)->eos_tokens(), UnorderedElementsAre(7, kControl));
  EXPECT_EQ((*with_eot)->bos_text(), "B");
  EXPECT_FALSE((*with_eot)->add_bos());
}

TEST(Tokenizer, LlamaThreeTakesWholeWordsFirstAndAddsBos) {
  const auto tokenizer = Load(Vocabulary("llama-bpe").AddUint32("tokenizer.ggml.bos_token_id", 0));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_TRUE((*tokenizer)->add_bos());
  EXPECT_THAT((*tokenizer)->Encode("abc abcd", false), ElementsAre(kAbc, ' ', 'a', 'b', 'c', 'd'));
}

TEST(Tokenizer, WrongMetadataIsRefused) {
  const auto refused = [](const GgufWriter& writer, const std::string& reason) {
    const auto tokenizer = Load(writer);
    ASSERT_FALSE(tokenizer.ok()) << reason;
    EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr(reason));
  };
  refused(GgufWriter(), "tokenizer.ggml.model");
  refused(GgufWriter().AddString("tokenizer.ggml.model", "llama"), "'llama' is not supported");
  refused(GgufWriter().AddString("tokenizer.ggml.model", "gpt2"), "tokenizer.ggml.tokens");
  refused(Vocabulary("superbpe"), "superbpe");
  refused(Vocabulary().AddStrings("tokenizer.ggml.merges", {"ab"}), "not two tokens");
  refused(Vocabulary().AddStrings("tokenizer.ggml.merges", {"x y"}), "lacks");
  refused(Vocabulary().AddUint32("tokenizer.ggml.eos_token_id", 261), "outside the vocabulary");
  refused(Vocabulary().AddBool("tokenizer.ggml.add_bos_token", true), "no bos_token_id");
  GgufWriter short_types;
  short_types.AddString("tokenizer.ggml.model", "gpt2").AddStrings("tokenizer.ggml.tokens", {"a", "b"});
  refused(short_types.AddInts("tokenizer.ggml.token_type", {1}), "1 entries for 2");
  GgufWriter wrong_type;
  wrong_type.AddString("tokenizer.ggml.model", "gpt2").AddStrings("tokenizer.ggml.tokens", {"a"});
  refused(wrong_type.AddInts("tokenizer.ggml.token_type", {9}), "unknown type 9");
}

TEST(StreamDecoder, HoldsBackUnfinishedCharacters) {
  const auto tokenizer = Default();
  StreamDecoder stream(*tokenizer);
  EXPECT_EQ(stream.Append(0xE2), "");
  EXPECT_EQ(stream.Append(0x82), "");
  EXPECT_EQ(stream.Append(0xAC), "\xE2\x82\xAC");
  EXPECT_EQ(stream.Append(0xF0), "");
  EXPECT_EQ(stream.Append(kControl), "");
  EXPECT_EQ(stream.Append('x'), "\xEF\xBF\xBDx");
  EXPECT_EQ(stream.Append(0xC3), "");
  EXPECT_EQ(stream.Flush(), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.Flush(), "");
}

TEST(StreamDecoder, PiecesAreValidAndMakeUpTheWhole) {
  const auto tokenizer = Default();
  std::mt19937 random(5);
  for (int round = 0; round < 3000; ++round) {
    std::vector<TokenId> ids(random() % 30);
    for (TokenId& id : ids) id = static_cast<TokenId>(random() % (round % 2 == 0 ? 262 : 256));
    StreamDecoder stream(*tokenizer);
    std::string whole;
    for (const TokenId id : ids) {
      const std::string piece = stream.Append(id);
      ASSERT_TRUE(IsValidUtf8(piece));
      whole += piece;
    }
    whole += stream.Flush();
    ASSERT_EQ(whole, ReplaceInvalidUtf8(tokenizer->Decode(ids, false)));
  }
}

}  // namespace
}  // namespace baton
