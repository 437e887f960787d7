#include "engine/text/jinja/lexer.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/status_macros.h"
#include "engine/text/jinja/python_text.h"
#include "engine/text/jinja/string_literal.h"

namespace baton::jinja {
namespace {

bool IsNameStart(char c) {
  return absl::ascii_isalpha(c) || c == '_';
}
bool IsNameByte(char c) {
  return absl::ascii_isalnum(c) || c == '_';
}

class Lexer {
 public:
  explicit Lexer(absl::string_view source) : source_(source) {}

  absl::StatusOr<std::vector<Token>> Run() {
    while (at_ < source_.size()) {
      const size_t tag = FindTag();
      EmitText(tag);
      if (tag == source_.size()) break;
      BATON_RETURN_IF_ERROR(source_[at_ + 1] == '#' ? SkipComment() : LexTag());
    }
    Emit(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  size_t FindTag() const {
    for (size_t i = at_; i + 1 < source_.size(); ++i) {
      if (source_[i] == '{' && (source_[i + 1] == '%' || source_[i + 1] == '{' || source_[i + 1] == '#'))
        return i;
    }
    return source_.size();
  }

  void Emit(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  void Advance(size_t to) {
    line_ += static_cast<int>(std::count(source_.begin() + at_, source_.begin() + to, '\n'));
    at_ = to;
  }

  // The text before the tag at `tag`, less what the tag's sign or lstrip_blocks takes away.
  void EmitText(size_t tag) {
    absl::string_view text = source_.substr(at_, tag - at_);
    if (tag < source_.size()) {
      const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
      if (sign == '-') {
        text = StripRight(text);
      } else if (sign != '+' && source_[tag + 1] != '{') {
        const size_t newline = text.rfind('\n');
        const size_t begin = newline == absl::string_view::npos ? 0 : newline + 1;
        if ((begin > 0 || line_starting_) && StripRight(text.substr(begin)).empty())
          text = text.substr(0, begin);
      }
    }
    if (!text.empty()) Emit(TokenKind::kText, std::string(text));
    Advance(tag);
  }

  // Steps over the end of a tag, of `length` bytes, and over the whitespace that it takes with it.
  void FinishTag(bool strips, bool trims, size_t length) {
    size_t next = at_ + length;
    if (strips) {
      next = source_.size() - StripLeft(source_.substr(next)).size();
    } else if (trims && next < source_.size() && source_[next] == '\n') {
      ++next;
    }
    line_starting_ = source_[next - 1] == '\n';
    Advance(next);
  }

  absl::Status SkipComment() {
    const size_t end = source_.find("#}", at_ + 2);
    if (end == absl::string_view::npos) return Error("a comment has no end");
    const char sign = source_[end - 1];
    Advance(end);
    FinishTag(sign == '-', sign != '+', 2);
    return absl::OkStatus();
  }

  absl::Status LexTag() {
    const bool is_block = source_[at_ + 1] == '%';
    const absl::string_view closing = is_block ? "%}" : "}}";
    Emit(is_block ? TokenKind::kBlockBegin : TokenKind::kPrintBegin, "");
    Advance(at_ + 2);
    if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) Advance(at_ + 1);
    std::string open;  // brackets not yet closed
    while (true) {
      const absl::string_view rest = source_.substr(at_);
      if (rest.empty()) return Error("a tag has no end");
      if (absl::ascii_isspace(rest[0])) {
        Advance(at_ + 1);
        continue;
      }
      if (open.empty()) {
        const char sign = rest[0] == '-' || (is_block && rest[0] == '+') ? rest[0] : ' ';
        if (absl::StartsWith(rest.substr(sign == ' ' ? 0 : 1), closing)) {
          Emit(is_block ? TokenKind::kBlockEnd : TokenKind::kPrintEnd, "");
          FinishTag(sign == '-', is_block && sign != '+', sign == ' ' ? 2 : 3);
          return absl::OkStatus();
        }
      }
      BATON_RETURN_IF_ERROR(LexToken(rest, &open));
    }
  }

  absl::Status LexToken(absl::string_view rest, std::string* open) {
    const char c = rest[0];
    if (IsNameStart(c)) {
      const auto end = std::find_if_not(rest.begin(), rest.end(), IsNameByte);
      Emit(TokenKind::kName, std::string(rest.begin(), end));
      Advance(at_ + static_cast<size_t>(end - rest.begin()));
      return absl::OkStatus();
    }
    if (absl::ascii_isdigit(c)) return LexNumber(rest);
    if (c == '\'' || c == '"') return LexString(rest);
    return LexOperator(rest, open);
  }

  absl::Status LexNumber(absl::string_view rest) {
    const auto digits = [&](size_t from) {
      while (from < rest.size() && (absl::ascii_isdigit(rest[from]) || rest[from] == '_')) ++from;
      return from;
    };
    size_t end = digits(0);
    bool is_float = false;
    if (end + 1 < rest.size() && rest[end] == '.' && absl::ascii_isdigit(rest[end + 1])) {
      is_float = true;
      end = digits(end + 1);
    }
    if (end < rest.size() && absl::ascii_tolower(rest[end]) == 'e') {
      const size_t sign = end + 1 < rest.size() && (rest[end + 1] == '+' || rest[end + 1] == '-') ? 1 : 0;
      const size_t last = digits(end + 1 + sign);
      is_float = last > end + 1 + sign;
      end = is_float ? last : end;
    }
    if (end < rest.size() && IsNameByte(rest[end])) return Error("a number runs into a name");
    std::string text(rest.substr(0, end));
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
    Emit(is_float ? TokenKind::kFloat : TokenKind::kInteger, std::move(text));
    Advance(at_ + end);
    return absl::OkStatus();
  }

  absl::Status LexString(absl::string_view rest) {
    size_t end = 1;
    while (end < rest.size() && rest[end] != rest[0]) end += rest[end] == '\\' ? 2 : 1;
    if (end >= rest.size()) return Error("a string has no end");
    auto text = Unescape(rest.substr(1, end - 1));
    if (!text.ok())
      return absl::Status(text.status().code(), absl::StrCat("line ", line_, ": ", text.status().message()));
    Emit(TokenKind::kString, *std::move(text));
    Advance(at_ + end + 1);
    return absl::OkStatus();
  }

  absl::Status LexOperator(absl::string_view rest, std::string* open) {
    for (const absl::string_view two : {"//", "**", "==", "!=", ">=", "<="}) {
      if (absl::StartsWith(rest, two)) {
        Emit(TokenKind::kOperator, std::string(two));
        Advance(at_ + 2);
        return absl::OkStatus();
      }
    }
    const char c = rest[0];
    if (absl::string_view("+-*/%~[](){}<>=.:|,").find(c) == absl::string_view::npos) {
      return Error(absl::StrCat("unexpected character '", rest.substr(0, 1), "'"));
    }
    if (c == '(' || c == '[' || c == '{') open->push_back(c == '(' ? ')' : static_cast<char>(c + 2));
    if (c == ')' || c == ']' || c == '}') {
      if (open->empty() || open->back() != c)
        return Error(absl::StrCat("unexpected '", rest.substr(0, 1), "'"));
      open->pop_back();
    }
    Emit(TokenKind::kOperator, std::string(1, c));
    Advance(at_ + 1);
    return absl::OkStatus();
  }

  absl::Status Error(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("line ", line_, ": ", what));
  }

  absl::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // the last tag took its newline, or there was none yet
  std::vector<Token> tokens_;
};

}  // namespace

absl::StatusOr<std::vector<Token>> Lex(absl::string_view source) {
  std::string normal = absl::StrReplaceAll(source, {{"\r\n", "\n"}, {"\r", "\n"}});
  if (!normal.empty() && normal.back() == '\n') normal.pop_back();
  return Lexer(normal).Run();
}

}  // namespace baton::jinja
