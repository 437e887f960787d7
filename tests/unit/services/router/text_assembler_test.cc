#include "services/router/serve/text_assembler.h"

#include <gtest/gtest.h>

#include <map>

namespace baton::router {
namespace {

// Token n is the n-th byte string given.
class ByteTokens final : public Tokenizer {
 public:
  explicit ByteTokens(std::vector<std::string> bytes) : bytes_(std::move(bytes)), eos_({kEos}) {}
  static constexpr TokenId kEos = 99;

  std::vector<TokenId> Encode(absl::string_view, bool) const override { return {}; }
  std::string Decode(absl::Span<const TokenId>, bool) const override { return ""; }
  int vocab_size() const override { return 100; }
  bool IsSpecial(TokenId id) const override { return id == kEos; }
  std::string TokenBytes(TokenId id) const override {
    return id == kEos ? "<eos>" : bytes_.at(static_cast<size_t>(id));
  }
  const std::vector<TokenId>& eos_tokens() const override { return eos_; }
  bool add_bos() const override { return false; }
  TokenId bos_token() const override { return -1; }
  absl::string_view bos_text() const override { return ""; }
  absl::string_view eos_text() const override { return "<eos>"; }

 private:
  const std::vector<std::string> bytes_;
  const std::vector<TokenId> eos_;
};

StreamToken Token(TokenId id) {
  return {.token = id, .logprob = -1.0f * static_cast<float>(id), .top = {{id, -1}}};
}

TEST(TextAssembler, CharactersWaitForTheirLastByte) {
  const ByteTokens tokens({"a\xE4", "\xB8", "\x96z"});
  TextAssembler text(tokens, {}, {}, true);
  const TextPiece first = text.Append(Token(0));
  EXPECT_EQ(first.text, "a");
  EXPECT_EQ(first.scores.size(), 1u);
  EXPECT_EQ(text.Append(Token(1)).text, "");
  const TextPiece whole = text.Append(Token(2));
  EXPECT_EQ(whole.text, "世z");
  EXPECT_EQ(text.Flush().text, "");
}

TEST(TextAssembler, OffsetsCountCharacters) {
  const ByteTokens tokens({"世", "\xE4", "\xB8\x96", "z"});
  TextAssembler text(tokens, {}, {}, true);
  std::vector<uint32_t> offsets;
  for (TokenId id = 0; id < 4; ++id) {
    for (const TokenScore& score : text.Append(Token(id)).scores) offsets.push_back(score.text_offset);
  }
  EXPECT_EQ(offsets, (std::vector<uint32_t>{0, 1, 1, 2}));
}

TEST(TextAssembler, UnfinishedCharactersComeOutAtTheEnd) {
  const ByteTokens tokens({"\xE4"});
  TextAssembler text(tokens, {}, {}, true);
  size_t scores = text.Append(Token(0)).scores.size();
  const TextPiece last = text.Flush();
  EXPECT_EQ(last.text, "\xEF\xBF\xBD");
  EXPECT_EQ(scores + last.scores.size(), 1u);
}

TEST(TextAssembler, StopStringsTakeTheirScoresAlong) {
  const ByteTokens tokens({"one ", "ST", "OP", "later"});
  TextAssembler text(tokens, {"STOP"}, {}, true);
  EXPECT_EQ(text.Append(Token(0)).text, "one ");
  const TextPiece held = text.Append(Token(1));
  EXPECT_TRUE(held.empty()) << "text and score wait together";
  const TextPiece cut = text.Append(Token(2));
  EXPECT_TRUE(text.stopped());
  EXPECT_EQ(cut.text, "");
  EXPECT_TRUE(cut.scores.empty());
  EXPECT_TRUE(text.Append(Token(3)).empty());
  EXPECT_TRUE(text.Flush().empty());
}

TEST(TextAssembler, HeldTextThatWasNoStopComesWithItsScores) {
  const ByteTokens tokens({"ST", "AY"});
  TextAssembler text(tokens, {"STOP"}, {}, true);
  EXPECT_TRUE(text.Append(Token(0)).empty());
  const TextPiece piece = text.Append(Token(1));
  EXPECT_EQ(piece.text, "STAY");
  ASSERT_EQ(piece.scores.size(), 2u);
  EXPECT_EQ(piece.scores[1].text_offset, 2u);
  EXPECT_EQ(piece.scores[1].top.size(), 1u);
}

TEST(TextAssembler, StopTokensAreSilentUnlessNothingEnds) {
  const ByteTokens tokens({"x"});
  TextAssembler text(tokens, {}, {0, ByteTokens::kEos}, true);
  EXPECT_TRUE(text.Append(Token(0)).empty());
  EXPECT_TRUE(text.Append(Token(ByteTokens::kEos)).empty());
  TextAssembler endless(tokens, {}, {}, false);
  EXPECT_EQ(endless.Append(Token(0)).text, "x");
}

}  // namespace
}  // namespace baton::router
