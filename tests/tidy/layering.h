#pragma once

#include <string>
#include <vector>

#include "tests/tidy/source_tree.h"

namespace baton::tidy {

// The layer a file belongs to: the longest folder of the table that holds it ("engine/text",
// "services/router", ...), "main" for a main.cc, "" for files outside any layer.
std::string LayerOf(const std::string& path);

// Includes of our own files against the table of DESIGN.md section 3, and of gRPC and CUDA where they don't
// belong. Files below tests, tools and benchmarks, and main.cc, may include anything, but nobody may include
// those.
std::vector<Violation> CheckLayering(const std::vector<SourceFile>& files);

// One violation for each file that includes itself through others.
std::vector<Violation> CheckCycles(const std::vector<SourceFile>& files);

}  // namespace baton::tidy
