#pragma once

// The checkout as the tidy rules see it.

#include <string>
#include <vector>

namespace baton::tidy {

struct SourceFile {
  std::string path;  // relative to the root, '/' between parts
  std::string text;
  std::string
      code;  // for C++: `text` with comments and the insides of literals blanked, byte for byte as long

  bool IsHeader() const;
  bool IsCpp() const;  // header or source
  bool IsPython() const;
  bool IsTest() const;  // below tests/
  std::string FileName() const;
};

struct Violation {
  std::string rule;
  std::string path;
  int line = 0;  // 0: the file as a whole
  std::string message;
};

// "path:line: [rule] message"
std::string ToString(const Violation& violation);

// Fills in `code`.
SourceFile MakeFile(std::string path, std::string text);

// Every text file that is or may be committed: build folders, goldens, hidden folders other than .ci and
// links are left out.
std::vector<SourceFile> LoadTree(const std::string& root);

int LineOf(const std::string& text, size_t offset);
int CountLines(const std::string& text);
bool StartsWith(const std::string& text, const std::string& prefix);
bool EndsWith(const std::string& text, const std::string& suffix);

}  // namespace baton::tidy
