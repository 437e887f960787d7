#include "services/router/openai/json_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "engine/text/utf8.h"

namespace baton::router {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr float kLargest = 9999.0f;

void AppendEscaped(char c, std::string& out) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  if (static_cast<uint8_t>(c) >= 0x20) {
    out += c;
    return;
  }
  out += "\\u00";
  out += kHex[(c >> 4) & 0xF];
  out += kHex[c & 0xF];
}

}  // namespace

std::string JsonString(absl::string_view text) {
  if (!IsValidUtf8(text)) return JsonString(ReplaceInvalidUtf8(text));
  std::string out;
  out.reserve(text.size() + 2);
  out += '"';
  for (const char c : text) AppendEscaped(c, out);
  out += '"';
  return out;
}

std::string JsonFloat(float value) {
  if (std::isnan(value)) return "0.0";
  value = std::clamp(value, -kLargest, kLargest);
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  return std::string(digits, end);
}

}  // namespace baton::router
