#include "tests/tidy/functions.h"

#include <cctype>
#include <regex>
#include <sstream>

namespace baton::tidy {
namespace {

class CppScanner {
 public:
  explicit CppScanner(const std::string& code) : code_(WithoutDirectives(code)) {}

  std::vector<Function> Run() {
    size_t head = 0;  // where the statement that may become a function's signature starts
    int parentheses = 0;
    for (size_t at = 0; at < code_.size(); ++at) {
      const char c = code_[at];
      if (c == '(') ++parentheses;
      if (c == ')') --parentheses;
      if (parentheses > 0) continue;
      if (c == ';' || c == '}') head = at + 1;
      if (c != '{') continue;
      const std::string signature = code_.substr(head, at - head);
      if (IsScope(signature)) {
        head = at + 1;
      } else {
        const size_t end = Matching(at);
        if (IsFunction(signature)) {
          Add(head, end, signature);
          head = end + 1;
        }
        at = end;
      }
    }
    return std::move(found_);
  }

 private:
  static std::string WithoutDirectives(std::string code) {
    bool directive = false, line_start = true, continues = false;
    for (char& c : code) {
      if (c == '\n') {
        directive = directive && continues;
        line_start = true;
        continue;
      }
      continues = c == '\\';
      if (line_start && c == '#') directive = true;
      if (isspace(static_cast<unsigned char>(c)) == 0) line_start = false;
      if (directive) c = ' ';
    }
    return code;
  }

  static bool IsScope(const std::string& signature) {
    static const std::regex kScope(
        R"(^\s*(template\s*<[^{}]*>\s*)?(inline\s+)?(namespace|class|struct|union|enum|extern)\b)");
    static const std::regex kReturnsIt(
        R"(^\s*(template\s*<[^{}]*>\s*)?(struct|enum|class)\s+[\w:]+[\s&*]+[\w:]+\s*\()");
    return std::regex_search(signature, kScope) && !std::regex_search(signature, kReturnsIt);
  }

  // A parameter list, and not an initialiser: `x = {`, `Type x{`, or a member's braces in a constructor's
  // list.
  static bool IsFunction(const std::string& signature) {
    static const std::regex kMemberBrace(R"(\)\s*(noexcept\s*)?:[^:][^]*[\w>]\s*$)");
    static const std::regex kAssigned(R"((^|[^=!<>+\-*/&|^])=\s*($|[^=]))");
    const size_t open = signature.find('(');
    if (open == std::string::npos || std::regex_search(signature, kMemberBrace)) return false;
    const std::string before = signature.substr(0, open);
    return before.find("operator") != std::string::npos || !std::regex_search(before, kAssigned);
  }

  size_t Matching(size_t open) const {
    int depth = 0;
    for (size_t at = open; at < code_.size(); ++at) {
      if (code_[at] == '{') ++depth;
      if (code_[at] == '}' && --depth == 0) return at;
    }
    return code_.size();
  }

  void Add(size_t head, size_t end, const std::string& signature) {
    static const std::regex kLabel(R"(^\s*(public|private|protected)\s*:)");
    std::smatch label;
    size_t skip = std::regex_search(signature, label, kLabel) ? label.length(0) : 0;
    while (skip < signature.size() && isspace(static_cast<unsigned char>(signature[skip])) != 0) ++skip;
    const std::string before = signature.substr(0, signature.find('(', skip));
    const size_t name = before.find_last_of(" \n&*");
    const int line = LineOf(code_, head + skip);
    found_.push_back(
        {before.substr(name == std::string::npos ? 0 : name + 1), line, LineOf(code_, end) - line + 1});
  }

  std::string code_;
  std::vector<Function> found_;
};

std::vector<Function> FindPythonFunctions(const std::string& text) {
  static const std::regex kDef(R"(^(\s*)(?:async\s+)?def\s+(\w+))");
  std::vector<Function> found;
  std::istringstream stream(text);
  std::string line;
  int number = 0, last_full = 0;
  size_t indent = std::string::npos;  // of the open function; npos: none
  const auto close = [&] {
    if (indent != std::string::npos) found.back().length = last_full - found.back().line + 1;
    indent = std::string::npos;
  };
  while (std::getline(stream, line)) {
    ++number;
    const size_t start = line.find_first_not_of(" \t");
    if (start == std::string::npos) continue;
    if (indent != std::string::npos && start <= indent && line[start] != ')' && line[start] != '#') close();
    std::smatch match;
    if (indent == std::string::npos && std::regex_search(line, match, kDef)) {
      found.push_back({match[2], number, 0});
      indent = start;
    }
    last_full = number;
  }
  close();
  return found;
}

}  // namespace

std::vector<Function> FindFunctions(const SourceFile& file) {
  if (file.IsPython()) return FindPythonFunctions(file.text);
  return file.IsCpp() ? CppScanner(file.code).Run() : std::vector<Function>();
}

}  // namespace baton::tidy
