#include <optional>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/operators.h"
#include "engine/text/jinja/python_text.h"

namespace baton::jinja {
namespace {

using Bound = std::vector<std::optional<Value>>;

absl::StatusOr<absl::string_view> TextArgument(absl::string_view method, const std::optional<Value>& value) {
  if (value.has_value() && value->AsText() != nullptr) return absl::string_view(*value->AsText());
  return absl::InvalidArgumentError(absl::StrCat("method '", method, "' needs a string"));
}

absl::StatusOr<Value> StripMethod(absl::string_view name, const std::string& text,
                                  const std::optional<Value>& chars) {
  const bool left = name != "rstrip";
  const bool right = name != "lstrip";
  absl::string_view rest = text;
  if (!chars.has_value() || chars->IsNone()) {
    if (left) rest = StripLeft(rest);
    if (right) rest = StripRight(rest);
  } else {
    BATON_ASSIGN_OR_RETURN(const absl::string_view set, TextArgument(name, chars));
    rest = StripCharacters(rest, set, left, right);
  }
  return Value::String(std::string(rest));
}

absl::StatusOr<Value> SplitMethod(const std::string& text, const Bound& bound, Budget& budget) {
  BATON_RETURN_IF_ERROR(budget.Spend(text.size()));
  int64_t most = -1;
  if (bound[1].has_value()) {
    if (!bound[1]->IsInteger()) return absl::InvalidArgumentError("split needs an integer maxsplit");
    most = bound[1]->Integer();
  }
  std::vector<std::string> pieces;
  if (!bound[0].has_value() || bound[0]->IsNone()) {
    pieces = SplitSpaces(text, most);
  } else {
    BATON_ASSIGN_OR_RETURN(const absl::string_view separator, TextArgument("split", bound[0]));
    if (separator.empty()) return absl::InvalidArgumentError("split at an empty separator");
    pieces = SplitAt(text, separator, most);
  }
  std::vector<Value> items;
  for (std::string& piece : pieces) items.push_back(Value::String(std::move(piece)));
  return MakeList(std::move(items));
}

absl::StatusOr<Value> JoinMethod(const std::string& separator, const Value& argument, Budget& budget) {
  BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(argument, budget));
  for (const Value& item : items) {
    if (item.AsText() == nullptr) return absl::InvalidArgumentError("method 'join' needs strings");
  }
  return JoinTexts(items, separator, budget);
}

absl::StatusOr<Value> CaseMethod(const std::string& text, Case to) {
  BATON_ASSIGN_OR_RETURN(std::string changed, ChangeCase(text, to));
  return Value::String(std::move(changed));
}

absl::StatusOr<Value> TextMethod(absl::string_view name, const std::string& text, const Bound& bound,
                                 Budget& budget) {
  BATON_RETURN_IF_ERROR(budget.SpendBytes(text.size()));
  if (name == "upper") return CaseMethod(text, Case::kUpper);
  if (name == "lower") return CaseMethod(text, Case::kLower);
  if (name == "title") return CaseMethod(text, Case::kTitle);
  if (name == "capitalize") return CaseMethod(text, Case::kCapitalize);
  if (name == "strip" || name == "lstrip" || name == "rstrip") return StripMethod(name, text, bound[0]);
  if (name == "split") return SplitMethod(text, bound, budget);
  if (name == "join") return JoinMethod(text, *bound[0], budget);
  if (name == "replace") return ReplaceText(text, *bound[0], *bound[1], bound[2], budget);
  BATON_ASSIGN_OR_RETURN(const absl::string_view argument,
                         TextArgument(name, bound.empty() ? std::nullopt : bound[0]));
  if (name == "startswith") return Value{absl::StartsWith(text, argument)};
  if (name == "endswith") return Value{absl::EndsWith(text, argument)};
  if (name == "find") {
    const size_t at = text.find(argument.data(), 0, argument.size());
    if (at == std::string::npos) return Value{int64_t{-1}};
    return Value{static_cast<int64_t>(Characters(absl::string_view(text).substr(0, at)).size())};
  }
  return absl::InvalidArgumentError(absl::StrCat("a str has no method '", name, "'"));
}

absl::StatusOr<Value> DictMethod(absl::string_view name, const Dict& dict, const Bound& bound) {
  std::vector<Value> items;
  if (name == "items") return DictItems(dict);
  if (name == "get") {
    const std::string* key = bound[0]->AsText();
    const Value* found = key == nullptr ? nullptr : dict.Find(*key);
    return found != nullptr ? *found : bound[1].value_or(Value{None{}});
  }
  for (const auto& [key, value] : dict.items) {
    if (name == "keys") items.push_back(Value::String(key));
    if (name == "values") items.push_back(value);
  }
  if (name == "keys" || name == "values") return MakeList(std::move(items));
  return absl::InvalidArgumentError(absl::StrCat("a dict has no method '", name, "'"));
}

}  // namespace

absl::StatusOr<Value> CallMethod(absl::string_view name, const Value& object, const Arguments& arguments,
                                 Budget& budget) {
  const Bound bound = Bind(*FindMethod(name), arguments);
  if (const std::string* text = object.AsText()) {
    if (name == "get" || name == "items" || name == "keys" || name == "values") {
      return absl::InvalidArgumentError(absl::StrCat("a str has no method '", name, "'"));
    }
    return TextMethod(name, *text, bound, budget);
  }
  if (const Dict* dict = object.AsDict()) {
    BATON_RETURN_IF_ERROR(budget.Spend(dict->items.size()));
    return DictMethod(name, *dict, bound);
  }
  if (object.IsUndefined()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", std::get<Undefined>(object.held).name, "' is undefined"));
  }
  return absl::InvalidArgumentError(absl::StrCat("a ", TypeName(object), " has no method '", name, "'"));
}

}  // namespace baton::jinja
