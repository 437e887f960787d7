// The checkout against the house style (STYLE.md) and the layering of the design.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <sstream>

#include "tests/tidy/allow_list.h"
#include "tests/tidy/functions.h"
#include "tests/tidy/layering.h"
#include "tests/tidy/rules.h"

namespace baton::tidy {
namespace {

const std::vector<SourceFile>& Tree() {
  static const std::vector<SourceFile> kTree = LoadTree(BATON_SOURCE_DIR);
  return kTree;
}

AllowList& Exceptions() {
  static AllowList list = [] {
    const std::string path = "tests/tidy/allow.txt";
    std::string text;
    for (const SourceFile& file : Tree()) {
      if (file.path == path) text = file.text;
    }
    return AllowList::Parse(path, text);
  }();
  return list;
}

std::vector<Violation> CheckAll() {
  std::vector<Violation> all = CheckLayering(Tree());
  const auto add = [&all](const std::vector<Violation>& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  add(CheckCycles(Tree()));
  add(CheckBuilt(Tree()));
  for (const SourceFile& file : Tree()) {
    add(CheckBannedCode(file));
    add(CheckText(file));
    add(CheckShape(file));
  }
  return all;
}

TEST(TidyTest, TheTreeKeepsItsRules) {
  ASSERT_GT(Tree().size(), 100u) << "the checkout was not found";
  for (const Violation& violation : CheckAll()) {
    if (!Exceptions().Allows(violation)) ADD_FAILURE() << ToString(violation);
  }
  for (const Violation& complaint : Exceptions().Complaints()) ADD_FAILURE() << ToString(complaint);
}

struct Spread {
  int count = 0, median = 0, high = 0, most = 0;  // high: 95th percentile
};

Spread SpreadOf(std::vector<int> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return {static_cast<int>(n), values[n / 2], values[n * 95 / 100], values.back()};
}

TEST(TidyTest, TheShapeOfTheTree) {
  std::vector<int> code_files, test_files, functions;
  int code_lines = 0, test_lines = 0;
  for (const SourceFile& file : Tree()) {
    if (!file.IsCpp() && !file.IsPython()) continue;
    const int lines = CountLines(file.text);
    (file.IsTest() ? test_lines : code_lines) += lines;
    (file.IsTest() ? test_files : code_files).push_back(lines);
    for (const Function& function : FindFunctions(file)) functions.push_back(function.length);
  }
  const Spread code = SpreadOf(code_files), tests = SpreadOf(test_files), all = SpreadOf(functions);
  const double ratio = static_cast<double>(test_lines) / std::max(1, code_lines);
  printf("                 count  median  95th  most\n");
  printf("code files       %5d  %6d  %4d  %4d\n", code.count, code.median, code.high, code.most);
  printf("test files       %5d  %6d  %4d  %4d\n", tests.count, tests.median, tests.high, tests.most);
  printf("functions        %5d  %6d  %4d  %4d\n", all.count, all.median, all.high, all.most);
  printf("lines of test per line of code: %.2f (%d / %d)\n", ratio, test_lines, code_lines);
  EXPECT_LE(code.median, 100);
  EXPECT_LE(code.high, kMostFileLines);
  EXPECT_LE(all.high, 40);
  EXPECT_GE(ratio, 0.5);
}

std::string OutputOf(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string output;
  char piece[4096];
  for (size_t got = 1; pipe != nullptr && got > 0;) {
    got = fread(piece, 1, sizeof piece, pipe.get());
    output.append(piece, got);
  }
  return output;
}

TEST(TidyTest, FormattedByClangFormat) {
  if (std::system("command -v clang-format >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "clang-format is not installed";
  std::string files;
  for (const SourceFile& file : Tree()) {
    if (EndsWith(file.path, ".h") || EndsWith(file.path, ".cc")) files += " " + file.path;
  }
  const std::string output = OutputOf(std::string("cd '") + BATON_SOURCE_DIR +
                                      "' && clang-format --dry-run -Werror" + files + " 2>&1");
  std::set<std::string> bad;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(": error: ") != std::string::npos) bad.insert(line.substr(0, line.find(':')));
  }
  for (const std::string& path : bad) ADD_FAILURE() << path << ": run clang-format -i on it";
}

}  // namespace
}  // namespace baton::tidy
