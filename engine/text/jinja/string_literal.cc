#include "engine/text/jinja/string_literal.h"

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/text/utf8.h"

namespace baton::jinja {
namespace {

std::optional<char> SimpleEscape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return std::nullopt;
  }
}

size_t HexDigits(char c) {
  return c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
}

bool IsOctal(char c) {
  return c >= '0' && c <= '7';
}

}  // namespace

absl::StatusOr<std::string> Unescape(absl::string_view raw) {
  std::string out;
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      out.push_back(raw[i]);
      continue;
    }
    const char c = raw[++i];
    if (const std::optional<char> simple = SimpleEscape(c)) {
      out.push_back(*simple);
    } else if (const size_t digits = HexDigits(c); digits > 0) {
      const absl::string_view hex = raw.substr(i + 1, digits);
      uint32_t code_point = 0;
      bool valid = hex.size() == digits && absl::SimpleHexAtoi(hex, &code_point) && code_point < 0x110000;
      for (const char digit : hex) valid = valid && absl::ascii_isxdigit(digit);
      if (!valid || (code_point >= 0xD800 && code_point < 0xE000)) {
        return absl::InvalidArgumentError(absl::StrCat("malformed escape \\", raw.substr(i, digits + 1)));
      }
      AppendUtf8(code_point, &out);
      i += digits;
    } else if (IsOctal(c)) {
      uint32_t code_point = 0;
      for (size_t end = i + 3; i < end && i < raw.size() && IsOctal(raw[i]); ++i)
        code_point = code_point * 8 + raw[i] - '0';
      --i;
      AppendUtf8(code_point, &out);
    } else if (c == 'N') {
      return absl::UnimplementedError("string escape \\N{...} is not supported");
    } else if (c != '\n') {
      out.push_back('\\');
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace baton::jinja
