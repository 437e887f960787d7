#pragma once

// A cursor over tokens, which end with kEnd. What both halves of the parser share.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "engine/text/jinja/lexer.h"

namespace baton::jinja {

class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& Peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  Token Next() {
    Token token = Peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool Is(TokenKind kind) const { return Peek().kind == kind; }
  bool Is(TokenKind kind, absl::string_view text) const { return Is(kind) && Peek().text == text; }
  bool IsOperator(absl::string_view text) const { return Is(TokenKind::kOperator, text); }
  bool IsName(absl::string_view text) const { return Is(TokenKind::kName, text); }

  // Steps over the token if it is this one.
  bool Take(TokenKind kind, absl::string_view text) {
    if (!Is(kind, text)) return false;
    Next();
    return true;
  }
  bool TakeOperator(absl::string_view text) { return Take(TokenKind::kOperator, text); }
  bool TakeName(absl::string_view text) { return Take(TokenKind::kName, text); }

  absl::Status Expect(TokenKind kind, absl::string_view text, absl::string_view what) {
    if (Take(kind, text)) return absl::OkStatus();
    return Invalid(absl::StrCat("expected ", what, Found()));
  }

  absl::Status Invalid(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("line ", Peek().line, ": ", what));
  }
  absl::Status Unknown(absl::string_view what) const {
    return absl::UnimplementedError(absl::StrCat("line ", Peek().line, ": ", what, " is not supported"));
  }

 private:
  std::string Found() const {
    return Peek().text.empty() ? std::string(", found the end of the tag")
                               : absl::StrCat(", found '", Peek().text, "'");
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
};

}  // namespace baton::jinja
