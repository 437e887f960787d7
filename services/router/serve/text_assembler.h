#pragma once

// One choice's tokens into text: UTF-8 never split, stop strings cut out, stop tokens silent,
// log-probabilities beside the text they belong to. Not thread-safe.

#include <string>
#include <vector>

#include "engine/text/tokenizer.h"
#include "services/router/openai/format.h"
#include "services/router/openai/stop_scanner.h"
#include "services/router/policy/emission.h"

namespace baton::router {

struct TextPiece {
  std::string text;
  std::vector<TokenScore> scores;
  std::vector<TokenId> token_ids;  // every token as it comes, stop tokens and those of held text included
  bool empty() const { return text.empty() && scores.empty() && token_ids.empty(); }
};

class TextAssembler {
 public:
  // `stop_tokens` end the text and are no part of it; empty if nothing ends it (ignore_eos).
  TextAssembler(const Tokenizer& tokenizer, std::vector<std::string> stops, std::vector<TokenId> stop_tokens,
                bool scores, bool token_ids = false);

  // What is new and certain. After a stop string: nothing.
  TextPiece Append(const StreamToken& token);
  // The end: what was held back.
  TextPiece Flush();
  bool stopped() const { return scanner_.stopped(); }

 private:
  TextPiece Release(std::string text, bool all);
  TextPiece AppendText(const StreamToken& token);
  TokenScore Score(const StreamToken& token) const;

  const Tokenizer& tokenizer_;
  StreamDecoder decoder_;
  StopScanner scanner_;
  const std::vector<TokenId> stop_tokens_;
  const bool scores_;
  const bool token_ids_;
  uint32_t decoded_characters_ = 0;  // by the decoder so far
  uint32_t released_characters_ = 0;
  std::vector<TokenScore> held_scores_;
};

}  // namespace baton::router
