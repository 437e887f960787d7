#pragma once

// Cuts a template into text, tags and the tokens inside tags, with Jinja2's whitespace rules under
// trim_blocks and lstrip_blocks (jinja2/lexer.py says what they are) and no trailing newline kept.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace baton::jinja {

enum class TokenKind {
  kText,  // outside tags
  kBlockBegin,
  kBlockEnd,
  kPrintBegin,
  kPrintEnd,
  kName,
  kString,  // unescaped
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind;
  std::string text;
  int line;
};

// InvalidArgument (with the line) for what is no Jinja; Unimplemented for named character escapes. Ends with
// a kEnd token.
absl::StatusOr<std::vector<Token>> Lex(absl::string_view source);

}  // namespace baton::jinja
