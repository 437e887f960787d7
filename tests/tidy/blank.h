#pragma once

#include <string>

namespace baton::tidy {

// C++ text with every comment, and what is inside string and character literals (raw ones too), replaced by
// spaces. Line ends stay, so that offsets and lines mean the same in both.
std::string BlankCommentsAndLiterals(const std::string& text);

}  // namespace baton::tidy
