#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/text/jinja/ast.h"

namespace baton::jinja {

inline constexpr size_t kMaxTemplateBytes = 1 << 20;

// The statements of a template: if, for, set, macro, break, continue, and transformers' generation. Errors
// name the line: InvalidArgument for what is no Jinja, Unimplemented (with the construct's name) for what
// this subset leaves out.
absl::StatusOr<Body> ParseTemplate(absl::string_view source);

}  // namespace baton::jinja
