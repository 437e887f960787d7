#include "services/router/serve/text_assembler.h"

#include <algorithm>
#include <utility>

namespace baton::router {
namespace {

// Of valid UTF-8.
uint32_t Characters(absl::string_view text) {
  return static_cast<uint32_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

}  // namespace

TextAssembler::TextAssembler(const Tokenizer& tokenizer, std::vector<std::string> stops,
                             std::vector<TokenId> stop_tokens, bool scores, bool token_ids)
    : tokenizer_(tokenizer),
      decoder_(tokenizer),
      scanner_(std::move(stops)),
      stop_tokens_(std::move(stop_tokens)),
      scores_(scores),
      token_ids_(token_ids) {}

TextPiece TextAssembler::Append(const StreamToken& token) {
  if (scanner_.stopped()) return {};
  TextPiece piece = AppendText(token);
  if (token_ids_) piece.token_ids.push_back(token.token);
  return piece;
}

TextPiece TextAssembler::AppendText(const StreamToken& token) {
  if (std::find(stop_tokens_.begin(), stop_tokens_.end(), token.token) != stop_tokens_.end()) return {};
  if (scores_) held_scores_.push_back(Score(token));
  const std::string text = decoder_.Append(token.token);
  decoded_characters_ += Characters(text);
  return Release(scanner_.Append(text), false);
}

TextPiece TextAssembler::Flush() {
  if (scanner_.stopped()) return {};
  std::string text = scanner_.Append(decoder_.Flush());
  if (!scanner_.stopped()) text += scanner_.Flush();
  return Release(std::move(text), true);
}

// Scores go out with the text that begins at or before them; those of a stop string's text never do.
TextPiece TextAssembler::Release(std::string text, bool all) {
  released_characters_ += Characters(text);
  TextPiece piece{.text = std::move(text)};
  const bool cut = scanner_.stopped();
  auto first_kept = held_scores_.begin();
  for (; first_kept != held_scores_.end(); ++first_kept) {
    const bool begun = first_kept->text_offset < released_characters_;
    const bool nothing_held = !scanner_.holding() && decoded_characters_ == released_characters_;
    if (!begun && (cut || !(all || nothing_held))) break;
    piece.scores.push_back(std::move(*first_kept));
  }
  held_scores_.erase(held_scores_.begin(), first_kept);
  if (cut) held_scores_.clear();
  return piece;
}

TokenScore TextAssembler::Score(const StreamToken& token) const {
  TokenScore score{.chosen = {tokenizer_.TokenBytes(token.token), token.logprob},
                   .text_offset = decoded_characters_};
  score.top.reserve(token.top.size());
  for (const AlternativeToken& top : token.top)
    score.top.push_back({tokenizer_.TokenBytes(top.token), top.logprob});
  return score;
}

}  // namespace baton::router
