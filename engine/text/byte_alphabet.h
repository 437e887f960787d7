#pragma once

// GPT-2's byte alphabet: vocabularies write each byte as one printable character. Printable Latin-1 bytes
// stand for themselves; the 68 others, in order, for U+0100 and up (openai/gpt-2, encoder.py:
// bytes_to_unicode).

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace baton {

// The bytes that a vocabulary entry stands for; nullopt if it holds a character outside the alphabet.
std::optional<std::string> AlphabetToBytes(absl::string_view text);
// The inverse: how a vocabulary writes these bytes.
std::string BytesToAlphabet(absl::string_view bytes);

}  // namespace baton
