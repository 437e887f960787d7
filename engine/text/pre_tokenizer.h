#pragma once

// Cuts text into the words that byte pair encoding works on, by the published regular expressions of each
// family, run with PCRE2. Where PCRE2's Unicode tables are older than those of Hugging Face `tokenizers`
// 0.23, the difference is spelt out in pre_tokenizer.cc, so that both agree on every code point. Immutable
// after Create, so thread-safe.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace baton {

class PreTokenizer {
 public:
  // `name` as in tokenizer.ggml.pre: smollm, gpt-2 (or default), llama-bpe, qwen2. Any other is
  // Unimplemented, by name.
  static absl::StatusOr<PreTokenizer> Create(absl::string_view name);
  PreTokenizer(PreTokenizer&&) noexcept;
  PreTokenizer& operator=(PreTokenizer&&) noexcept;
  ~PreTokenizer();

  // The words of `text`, which together are exactly `text`, whatever bytes it holds. A byte that is part of
  // no UTF-8 character counts as a symbol. False (and the words still make up the text) if a match ran into
  // PCRE2's limits.
  bool Split(absl::string_view text, std::vector<absl::string_view>* words) const;

  // Llama 3: a word that is itself a token is that token, whatever the merges say.
  bool whole_words_first() const;
  // Whether a prompt starts with BOS where the file does not say.
  bool adds_bos_by_default() const;

 private:
  struct Impl;
  explicit PreTokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
