#pragma once

// Plain text tables.

#include <string>
#include <vector>

namespace baton::ctl {

// Columns two spaces apart, as wide as their widest cell (counted in code points); a column whose cells below
// the first row are all numbers or '-' is right-aligned. The first row is the heading. Each line ends in '\n'
// and has no trailing space.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows);

// `text` in at most `width` code points, cut with "..." where it is longer; control characters become spaces.
std::string Shorten(const std::string& text, size_t width);

}  // namespace baton::ctl
