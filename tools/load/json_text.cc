#include "tools/load/json_text.h"

#include <cmath>

#include "absl/strings/str_format.h"

namespace baton::load {

void AppendQuoted(absl::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&out, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

void AppendNumber(std::optional<double> number, std::string& out) {
  if (!number.has_value() || !std::isfinite(*number)) {
    out += "null";
  } else if (*number == std::floor(*number) && std::abs(*number) < 1e15) {
    absl::StrAppendFormat(&out, "%.0f", *number);
  } else {
    absl::StrAppendFormat(&out, "%.7g", *number);
  }
}

JsonMembers::JsonMembers(std::string& out, char open, char close) : out_(out), close_(close) {
  out_ += open;
}

JsonMembers::~JsonMembers() {
  out_ += close_;
}

std::string& JsonMembers::Next() {
  if (!first_) out_ += ',';
  first_ = false;
  return out_;
}

std::string& JsonMembers::Next(absl::string_view key) {
  AppendQuoted(key, Next());
  out_ += ':';
  return out_;
}

void JsonMembers::Bool(absl::string_view key, std::optional<bool> value) {
  Next(key) += !value.has_value() ? "null" : *value ? "true" : "false";
}

}  // namespace baton::load
