#include "tests/tidy/source_tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/tidy/blank.h"

namespace baton::tidy {
namespace {

namespace fs = std::filesystem;

bool IsSkippedFolder(const std::string& name) {
  static const std::set<std::string> kNames = {"build", "goldens", "__pycache__", "shared"};
  return kNames.count(name) > 0 || StartsWith(name, "build-") || (StartsWith(name, ".") && name != ".ci");
}

bool IsTextFile(const fs::path& path) {
  static const std::set<std::string> kExtensions = {".h",    ".cc",  ".cu",   ".cuh", ".proto", ".py",
                                                    ".sh",   ".md",  ".txt",  ".pml", ".json",  ".cmake",
                                                    ".yaml", ".yml", ".supp", ".toml"};
  static const std::set<std::string> kNames = {"baton", "run", "LICENSE", "Dockerfile"};
  return kExtensions.count(path.extension().string()) > 0 || kNames.count(path.filename().string()) > 0;
}

std::string ReadWhole(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

bool SourceFile::IsHeader() const {
  return EndsWith(path, ".h") || EndsWith(path, ".cuh");
}
bool SourceFile::IsCpp() const {
  return IsHeader() || EndsWith(path, ".cc") || EndsWith(path, ".cu");
}
bool SourceFile::IsPython() const {
  return EndsWith(path, ".py");
}
bool SourceFile::IsTest() const {
  return StartsWith(path, "tests/");
}
std::string SourceFile::FileName() const {
  return path.substr(path.rfind('/') + 1);
}

std::string ToString(const Violation& violation) {
  std::string place = violation.path;
  if (violation.line > 0) place += ":" + std::to_string(violation.line);
  return place + ": [" + violation.rule + "] " + violation.message;
}

SourceFile MakeFile(std::string path, std::string text) {
  SourceFile file{std::move(path), std::move(text), ""};
  if (file.IsCpp()) file.code = BlankCommentsAndLiterals(file.text);
  return file;
}

std::vector<SourceFile> LoadTree(const std::string& root) {
  std::vector<SourceFile> files;
  for (auto it = fs::recursive_directory_iterator(root); it != fs::recursive_directory_iterator(); ++it) {
    const fs::path& path = it->path();
    if (it->is_symlink()) continue;
    if (it->is_directory()) {
      if (IsSkippedFolder(path.filename().string())) it.disable_recursion_pending();
    } else if (it->is_regular_file() && IsTextFile(path)) {
      files.push_back(MakeFile(fs::relative(path, root).generic_string(), ReadWhole(path)));
    }
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

int LineOf(const std::string& text, size_t offset) {
  return 1 + static_cast<int>(std::count(text.begin(), text.begin() + std::min(offset, text.size()), '\n'));
}

int CountLines(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

bool StartsWith(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

bool EndsWith(const std::string& text, const std::string& suffix) {
  return text.size() >= suffix.size() &&
         text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

}  // namespace baton::tidy
