#pragma once

// Byte-level BPE as GGUF metadata describes it (tokenizer.ggml.*). Immutable after creation, so thread-safe.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/ids.h"
#include "engine/formats/gguf.h"

namespace baton {

class Tokenizer {
 public:
  // Copies what it needs. Unknown tokenizer models or pre-tokenizers are Unimplemented, by name.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> FromGguf(const GgufFile& file);
  virtual ~Tokenizer() = default;

  // `text` may be any bytes. With parse_special, occurrences of special tokens' texts become those tokens
  // (chat templates); without, they are ordinary text (user content given raw). Adds no BOS.
  virtual std::vector<TokenId> Encode(absl::string_view text, bool parse_special) const = 0;
  // The exact bytes of the tokens; special tokens are left out unless keep_special. Ids out of range decode
  // to nothing.
  virtual std::string Decode(absl::Span<const TokenId> tokens, bool keep_special) const = 0;

  virtual int vocab_size() const = 0;
  virtual bool IsSpecial(TokenId id) const = 0;
  virtual std::string TokenBytes(TokenId id) const = 0;        // raw bytes; specials as their text
  virtual const std::vector<TokenId>& eos_tokens() const = 0;  // any of them ends generation
  virtual bool add_bos() const = 0;
  virtual TokenId bos_token() const = 0;  // -1 if none
  virtual absl::string_view bos_text() const = 0;
  virtual absl::string_view eos_text() const = 0;
};

// Turns one stream's tokens into text whose pieces never split a UTF-8 character. Not thread-safe.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
  // The longest valid UTF-8 now known and not returned before. Bytes that can never become valid come out as
  // U+FFFD.
  std::string Append(TokenId token);
  // What is left at the end; an unfinished character becomes U+FFFD.
  std::string Flush();

 private:
  const Tokenizer& tokenizer_;
  std::string pending_;  // at most 3 bytes: the start of a character
};

}  // namespace baton
