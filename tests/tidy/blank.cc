#include "tests/tidy/blank.h"

#include <algorithm>
#include <cctype>

namespace baton::tidy {
namespace {

class Blanker {
 public:
  explicit Blanker(const std::string& text) : text_(text), result_(text) {}

  std::string Run() {
    while (at_ < text_.size()) {
      if (Sees("//")) {
        BlankUntil(text_.find('\n', at_));
      } else if (Sees("/*")) {
        BlankUntil(After("*/", at_ + 2));
      } else if (Sees("R\"") && !AfterWord()) {
        RawString();
      } else if (text_[at_] == '"') {
        Literal('"');
      } else if (text_[at_] == '\'' && !AfterDigit()) {
        Literal('\'');
      } else {
        ++at_;
      }
    }
    return result_;
  }

 private:
  bool Sees(const char* what) const {
    return text_.compare(at_, std::char_traits<char>::length(what), what) == 0;
  }
  bool AfterWord() const { return at_ > 0 && (isalnum(Before()) != 0 || Before() == '_'); }
  bool AfterDigit() const {
    return at_ > 0 && isxdigit(Before()) != 0 && at_ + 1 < text_.size() && isxdigit(text_[at_ + 1]) != 0;
  }
  unsigned char Before() const { return static_cast<unsigned char>(text_[at_ - 1]); }

  size_t After(const std::string& what, size_t from) const {
    const size_t found = text_.find(what, from);
    return found == std::string::npos ? found : found + what.size();
  }

  void BlankUntil(size_t end) {
    end = std::min(end, text_.size());
    for (; at_ < end; ++at_) {
      if (text_[at_] != '\n') result_[at_] = ' ';
    }
  }

  void RawString() {
    const size_t open = text_.find('(', at_);
    if (open == std::string::npos) return BlankUntil(text_.size());
    const std::string delimiter = text_.substr(at_ + 2, open - at_ - 2);
    const size_t end = After(")" + delimiter + "\"", open);
    at_ += 2;
    BlankUntil(end == std::string::npos ? end : end - 1);
    at_ = std::min(at_ + 1, text_.size());
  }

  void Literal(char quote) {
    size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote && text_[end] != '\n') end += text_[end] == '\\' ? 2 : 1;
    ++at_;
    BlankUntil(end);
    at_ = std::min(at_ + 1, text_.size());
  }

  const std::string& text_;
  std::string result_;
  size_t at_ = 0;
};

}  // namespace

std::string BlankCommentsAndLiterals(const std::string& text) {
  return Blanker(text).Run();
}

}  // namespace baton::tidy
