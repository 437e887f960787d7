#pragma once

// Python's operators on template values. InvalidArgument where Python raises TypeError, ValueError or
// ZeroDivisionError.

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/text/jinja/budget.h"
#include "engine/text/jinja/value.h"

namespace baton::jinja {

absl::StatusOr<Value> Apply(absl::string_view op, const Value& a, const Value& b,
                            Budget& budget);  // + - * / // % ~
absl::StatusOr<bool> Compare(absl::string_view op, const Value& a,
                             const Value& b);  // == != < > <= >= in, not in
absl::StatusOr<bool> Contains(const Value& container, const Value& item);
absl::StatusOr<Value> Negate(const Value& value);

// What a loop or a filter runs over: items, keys or characters; an undefined value has none.
absl::StatusOr<std::vector<Value>> Iterate(const Value& value, Budget& budget);
absl::StatusOr<int64_t> Length(const Value& value);

// value[index], value.name: an undefined value where there is no such thing, as Jinja2 does.
absl::StatusOr<Value> GetItem(const Value& value, const Value& index);
absl::StatusOr<Value> GetAttribute(const Value& value, absl::string_view name);
// value[start:stop:step]; None where a part is left out.
absl::StatusOr<Value> Slice(const Value& value, const Value& start, const Value& stop, const Value& step,
                            Budget& budget);

}  // namespace baton::jinja
