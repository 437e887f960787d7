#include "engine/text/jinja/python_text.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "engine/text/utf8.h"

namespace baton::jinja {
namespace {

bool IsSpaceCharacter(absl::string_view character) {
  const Utf8Step step = NextUtf8(character);
  return step.kind == Utf8Kind::kValid && IsPythonSpace(step.code_point);
}

absl::string_view FirstCharacter(absl::string_view text) {
  return text.substr(0, NextUtf8(text).length);
}

absl::string_view LastCharacter(absl::string_view text) {
  for (size_t length = 1; length <= std::min<size_t>(4, text.size()); ++length) {
    const absl::string_view tail = text.substr(text.size() - length);
    const Utf8Step step = NextUtf8(tail);
    if (step.kind == Utf8Kind::kValid && step.length == length) return tail;
  }
  return text.substr(text.size() - 1);
}

template <typename Strips>
absl::string_view Strip(absl::string_view text, bool left, bool right, const Strips& strips) {
  while (left && !text.empty() && strips(FirstCharacter(text)))
    text.remove_prefix(FirstCharacter(text).size());
  while (right && !text.empty() && strips(LastCharacter(text)))
    text.remove_suffix(LastCharacter(text).size());
  return text;
}

}  // namespace

bool IsPythonSpace(uint32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

absl::string_view StripLeft(absl::string_view text) {
  return Strip(text, true, false, IsSpaceCharacter);
}
absl::string_view StripRight(absl::string_view text) {
  return Strip(text, false, true, IsSpaceCharacter);
}

absl::string_view StripCharacters(absl::string_view text, absl::string_view characters, bool left,
                                  bool right) {
  const std::vector<absl::string_view> set = Characters(characters);
  return Strip(text, left, right,
               [&](absl::string_view c) { return std::find(set.begin(), set.end(), c) != set.end(); });
}

std::vector<absl::string_view> Characters(absl::string_view text) {
  std::vector<absl::string_view> out;
  while (!text.empty()) {
    const Utf8Step step = NextUtf8(text);
    const size_t length = step.kind == Utf8Kind::kValid ? step.length : 1;
    out.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return out;
}

std::vector<std::string> SplitSpaces(absl::string_view text, int64_t most) {
  std::vector<std::string> out;
  text = StripLeft(text);
  while (!text.empty()) {
    if (most >= 0 && static_cast<int64_t>(out.size()) == most) {
      out.emplace_back(text);
      break;
    }
    size_t end = 0;
    while (end < text.size() && !IsSpaceCharacter(FirstCharacter(text.substr(end)))) {
      end += FirstCharacter(text.substr(end)).size();
    }
    out.emplace_back(text.substr(0, end));
    text = StripLeft(text.substr(end));
  }
  return out;
}

std::vector<std::string> SplitAt(absl::string_view text, absl::string_view separator, int64_t most) {
  std::vector<std::string> out;
  while (most < 0 || static_cast<int64_t>(out.size()) < most) {
    const size_t at = text.find(separator);
    if (at == absl::string_view::npos) break;
    out.emplace_back(text.substr(0, at));
    text.remove_prefix(at + separator.size());
  }
  out.emplace_back(text);
  return out;
}

absl::StatusOr<std::string> Replace(absl::string_view text, absl::string_view from, absl::string_view to,
                                    int64_t most) {
  if (from.empty()) return absl::InvalidArgumentError("replace of an empty string");
  std::string out;
  for (int64_t done = 0; most < 0 || done < most; ++done) {
    const size_t at = text.find(from);
    if (at == absl::string_view::npos) break;
    absl::StrAppend(&out, text.substr(0, at), to);
    text.remove_prefix(at + from.size());
  }
  absl::StrAppend(&out, text);
  return out;
}

absl::StatusOr<std::string> ChangeCase(absl::string_view text, Case to) {
  std::string out;
  bool inside_word = false;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) {
      return absl::UnimplementedError("changing the case of text that is not ASCII is not supported");
    }
    const bool starts_word = to == Case::kTitle ? !inside_word : out.empty();
    const bool up = to == Case::kUpper || (to != Case::kLower && starts_word);
    out.push_back(up ? absl::ascii_toupper(c) : absl::ascii_tolower(c));
    inside_word = absl::ascii_isalpha(c);
  }
  return out;
}

}  // namespace baton::jinja
