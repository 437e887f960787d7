#pragma once

// Filters, tests and methods by name. Names and arguments have been checked against signatures.h when the
// template was parsed; names that arrive as values (map('upper'), select('string')) are checked here:
// Unimplemented if unknown. InvalidArgument where Python or Jinja2 raises.

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/text/jinja/budget.h"
#include "engine/text/jinja/signatures.h"
#include "engine/text/jinja/value.h"

namespace baton::jinja {

absl::StatusOr<Value> ApplyFilter(absl::string_view name, const Value& input, const Arguments& arguments,
                                  Budget& budget);
absl::StatusOr<bool> ApplyTest(absl::string_view name, const Value& input, const Arguments& arguments);
absl::StatusOr<Value> CallMethod(absl::string_view name, const Value& object, const Arguments& arguments,
                                 Budget& budget);

// Shared by the filter and the method of the same name.
absl::StatusOr<Value> ReplaceText(const std::string& text, const Value& from, const Value& to,
                                  const std::optional<Value>& count, Budget& budget);
absl::StatusOr<Value> JoinTexts(const std::vector<Value>& items, const std::string& separator,
                                Budget& budget);
absl::StatusOr<Value> DictItems(const Dict& dict);

}  // namespace baton::jinja
