#pragma once

// UTF-8 by the Unicode standard's table 3-7 (no overlong forms, no surrogates, nothing above U+10FFFF). Pure
// functions.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace baton {

enum class Utf8Kind {
  kValid,       // `length` bytes are one character
  kInvalid,     // `length` bytes (a maximal subpart, at least 1) can be part of no character
  kIncomplete,  // the text ends here, after `length` bytes that more bytes could complete
};

struct Utf8Step {
  Utf8Kind kind;
  size_t length;
  uint32_t code_point;  // if kValid
};

// What stands at the start of `text`, which must not be empty.
Utf8Step NextUtf8(absl::string_view text);

inline constexpr absl::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

bool IsValidUtf8(absl::string_view text);
// Each invalid or unfinished part becomes one U+FFFD, as the Unicode standard recommends and Python's
// "replace" does.
std::string ReplaceInvalidUtf8(absl::string_view text);
void AppendUtf8(uint32_t code_point, std::string* out);

}  // namespace baton
