#pragma once

#include <string>
#include <vector>

#include "tests/tidy/source_tree.h"

namespace baton::tidy {

constexpr int kMostFileLines = 400;
constexpr int kMostFunctionLines = 70;

// C++: calls and words that only some files may use, with what to do instead.
std::vector<Violation> CheckBannedCode(const SourceFile& file);
// Every text file: words of unfinished work, paths of one machine, trailing spaces, line ends.
std::vector<Violation> CheckText(const SourceFile& file);
// `#pragma once`, file length, function length (kernels are exempt from the last).
std::vector<Violation> CheckShape(const SourceFile& file);
// Every C++ source must be named in a CMakeLists.txt, or it is never built.
std::vector<Violation> CheckBuilt(const std::vector<SourceFile>& files);

}  // namespace baton::tidy
