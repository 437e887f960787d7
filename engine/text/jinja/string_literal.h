#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace baton::jinja {

// Python's string escapes, as in a template's string between its quotes. An unknown escape keeps its
// backslash. InvalidArgument for a malformed \x, \u or \U; Unimplemented for \N{...}.
absl::StatusOr<std::string> Unescape(absl::string_view raw);

}  // namespace baton::jinja
