#pragma once

// Python's str operations on UTF-8 text, counted in code points. Pure functions.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace baton::jinja {

bool IsPythonSpace(uint32_t code_point);  // str.isspace

// str.lstrip(), str.rstrip(): of whitespace.
absl::string_view StripLeft(absl::string_view text);
absl::string_view StripRight(absl::string_view text);
// With a set of characters (UTF-8) to strip instead.
absl::string_view StripCharacters(absl::string_view text, absl::string_view characters, bool left,
                                  bool right);

// The code points, one view each. A byte that is part of no character counts as one.
std::vector<absl::string_view> Characters(absl::string_view text);

// str.split(): at runs of whitespace, no empty pieces; at most `most` splits (< 0: all).
std::vector<std::string> SplitSpaces(absl::string_view text, int64_t most);
// str.split(separator), which must not be empty.
std::vector<std::string> SplitAt(absl::string_view text, absl::string_view separator, int64_t most);
// str.replace; an empty `from` is InvalidArgument.
absl::StatusOr<std::string> Replace(absl::string_view text, absl::string_view from, absl::string_view to,
                                    int64_t most);

enum class Case { kUpper, kLower, kTitle, kCapitalize };
// Unimplemented for text that is not ASCII: Unicode's case tables are not here.
absl::StatusOr<std::string> ChangeCase(absl::string_view text, Case to);

}  // namespace baton::jinja
