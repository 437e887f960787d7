#pragma once

// Text from outside on its way into a page.

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace baton::report {

// `text` as HTML and XML take it, between tags and within quotes: the five special characters as entities,
// bytes that are no UTF-8 or no XML character as U+FFFD. Text of more than `most` bytes ends in "…" there.
std::string Escape(absl::string_view text, size_t most = 2000);

}  // namespace baton::report
