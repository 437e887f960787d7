#pragma once

// What a template may call, and with which arguments: the lists that decide, when a template is parsed,
// whether a construct is known. One entry here for each case in filters.cc, tests.cc, methods.cc and
// functions.cc.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "engine/text/jinja/value.h"

namespace baton::jinja {

struct Signature {
  absl::string_view name;
  std::vector<absl::string_view> parameters;  // by position and by name
  size_t required = 0;
  bool any_named = false;  // dict(...), namespace(...)
};

// nullptr if unknown.
const Signature* FindFilter(absl::string_view name);
const Signature* FindTest(absl::string_view name);
const Signature* FindMethod(absl::string_view name);
const Signature* FindFunction(absl::string_view name);

// Unimplemented, with the reason, if such a call cannot be bound.
absl::Status CheckArguments(const Signature& signature, size_t positional,
                            absl::Span<const std::string> named);

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// One entry for each parameter, nullopt where none was given. The arguments must have passed CheckArguments.
std::vector<std::optional<Value>> Bind(const Signature& signature, const Arguments& arguments);

}  // namespace baton::jinja
