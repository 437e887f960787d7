#pragma once

#include <string>
#include <vector>

#include "tests/tidy/source_tree.h"

namespace baton::tidy {

struct Function {
  std::string name;  // as written before its parameters; TEST(A, B) is called "TEST"
  int line = 0;      // where its signature starts
  int length = 0;    // lines from there to its closing brace
};

// Every outermost function of a C++ or Python file; lambdas and nested functions count into the one around
// them. Brackets decide, no types are known: good for a style in which macros hold no braces.
std::vector<Function> FindFunctions(const SourceFile& file);

}  // namespace baton::tidy
