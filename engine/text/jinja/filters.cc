#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/operators.h"
#include "engine/text/jinja/python_text.h"

namespace baton::jinja {
namespace {

using Bound = std::vector<std::optional<Value>>;
using Result = absl::StatusOr<Value>;

constexpr int64_t kMaxIndent = 32;

absl::StatusOr<Value> Text(absl::StatusOr<std::string> text) {
  BATON_RETURN_IF_ERROR(text.status());
  return Value::String(*std::move(text));
}

// Jinja2's own title: words begin after these, not after an apostrophe.
absl::StatusOr<std::string> TitleWords(const std::string& text) {
  BATON_ASSIGN_OR_RETURN(std::string lower, ChangeCase(text, Case::kLower));
  bool begins = true;
  for (char& c : lower) {
    if (begins) c = absl::ascii_toupper(c);
    begins = absl::ascii_isspace(c) || absl::string_view("-({[<").find(c) != absl::string_view::npos;
  }
  return lower;
}

Result ToInteger(const Value& input, const std::optional<Value>& otherwise) {
  const Value fallback = otherwise.value_or(Value{int64_t{0}});
  int64_t number = 0;
  double real = 0;
  if (input.IsInteger()) return Value{input.Integer()};
  if (const std::string* text = input.AsText()) {
    const absl::string_view digits = StripRight(StripLeft(*text));
    if (absl::SimpleAtoi(digits, &number)) return Value{number};
    if (!absl::SimpleAtod(digits, &real)) return fallback;
  } else if (input.IsNumber()) {
    real = input.Number();
  } else {
    return fallback;
  }
  if (!std::isfinite(real) || std::fabs(real) >= 9.2e18)
    return absl::InvalidArgumentError("an integer is too large");
  return Value{static_cast<int64_t>(real)};
}

Result ToFloat(const Value& input, const std::optional<Value>& otherwise) {
  double real = 0;
  if (input.IsNumber()) return Value{input.Number()};
  if (input.AsText() != nullptr && absl::SimpleAtod(StripRight(StripLeft(*input.AsText())), &real))
    return Value{real};
  return otherwise.value_or(Value{0.0});
}

Result AttributePath(const Value& item, const Value& path) {
  if (path.AsText() == nullptr) return GetItem(item, path);
  Value value = item;
  for (const absl::string_view part : absl::StrSplit(*path.AsText(), '.')) {
    int64_t index = 0;
    const bool is_index = !part.empty() && absl::ascii_isdigit(part[0]) && absl::SimpleAtoi(part, &index);
    BATON_ASSIGN_OR_RETURN(value, GetItem(value, is_index ? Value{index} : Value::String(std::string(part))));
  }
  return value;
}

// select, reject, selectattr, rejectattr; `bound` starts with the attribute in the latter two. As in Jinja2,
// an input that is false, None included, yields nothing; so it does in map.
Result Select(const Value& input, const Bound& bound, bool by_attribute, bool keep, Budget& budget) {
  if (!Truthy(input)) return MakeList({}, ListKind::kGenerator);
  BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(input, budget));
  const size_t test_at = by_attribute ? 1 : 0;
  Arguments arguments;
  if (bound[test_at + 1].has_value()) arguments.positional.push_back(*bound[test_at + 1]);
  std::vector<Value> kept;
  for (const Value& item : items) {
    Value tested = item;
    if (by_attribute) {
      BATON_ASSIGN_OR_RETURN(tested, AttributePath(item, *bound[0]));
    }
    bool passes = Truthy(tested);
    if (bound[test_at].has_value()) {
      if (bound[test_at]->AsText() == nullptr)
        return absl::InvalidArgumentError("a test's name must be a string");
      BATON_ASSIGN_OR_RETURN(passes, ApplyTest(*bound[test_at]->AsText(), tested, arguments));
    }
    if (passes == keep) kept.push_back(item);
  }
  return MakeList(std::move(kept), ListKind::kGenerator);
}

Result Map(const Value& input, const Bound& bound, Budget& budget) {
  if (bound[0].has_value() == bound[1].has_value()) {
    return absl::InvalidArgumentError("map needs either a filter or attribute=");
  }
  if (bound[0].has_value() && (bound[0]->AsText() == nullptr || FindFilter(*bound[0]->AsText()) == nullptr)) {
    return absl::UnimplementedError(absl::StrCat("filter ", ToRepr(*bound[0]), " is not supported"));
  }
  if (bound[0].has_value()) {
    BATON_RETURN_IF_ERROR(CheckArguments(*FindFilter(*bound[0]->AsText()), 0, {}));
  }
  if (!Truthy(input)) return MakeList({}, ListKind::kGenerator);
  BATON_ASSIGN_OR_RETURN(std::vector<Value> items, Iterate(input, budget));
  for (Value& item : items) {
    auto mapped = bound[1].has_value() ? AttributePath(item, *bound[1])
                                       : ApplyFilter(*bound[0]->AsText(), item, Arguments{}, budget);
    BATON_ASSIGN_OR_RETURN(item, std::move(mapped));
  }
  return MakeList(std::move(items), ListKind::kGenerator);
}

Result Join(const Value& input, const Bound& bound, Budget& budget) {
  BATON_ASSIGN_OR_RETURN(std::vector<Value> items, Iterate(input, budget));
  for (Value& item : items) {
    if (bound[1].has_value()) {
      BATON_ASSIGN_OR_RETURN(item, AttributePath(item, *bound[1]));
    }
  }
  return JoinTexts(items, bound[0].has_value() ? ToText(*bound[0]) : "", budget);
}

Result Edge(const Value& input, bool first, Budget& budget) {
  BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(input, budget));
  if (items.empty()) return Value::Missing(first ? "the first item" : "the last item");
  return first ? items.front() : items.back();
}

Result Reverse(const Value& input, Budget& budget) {
  BATON_ASSIGN_OR_RETURN(std::vector<Value> items, Iterate(input, budget));
  std::reverse(items.begin(), items.end());
  if (input.AsText() != nullptr) return JoinTexts(items, "", budget);
  return MakeList(std::move(items), ListKind::kGenerator);
}

// As transformers defines it: ensure_ascii is false unless given.
Result Json(const Value& input, const std::optional<Value>& indent,
            const std::optional<Value>& ensure_ascii) {
  if (ensure_ascii.has_value() && Truthy(*ensure_ascii)) {
    return absl::UnimplementedError("tojson with ensure_ascii is not supported");
  }
  if (!indent.has_value() || indent->IsNone()) return Text(ToJson(input, -1));
  if (!indent->IsInteger() || indent->Integer() < 0 || indent->Integer() > kMaxIndent) {
    return absl::InvalidArgumentError("tojson needs an indent from 0 to 32");
  }
  return Text(ToJson(input, static_cast<int>(indent->Integer())));
}

Result Default(const Value& input, const Bound& bound) {
  const bool replace = input.IsUndefined() || (bound[1].has_value() && Truthy(*bound[1]) && !Truthy(input));
  return replace ? bound[0].value_or(Value::String("")) : input;
}

Result TextFilter(absl::string_view name, const std::string& text, const Bound& bound, Budget& budget) {
  if (name == "upper") return Text(ChangeCase(text, Case::kUpper));
  if (name == "lower") return Text(ChangeCase(text, Case::kLower));
  if (name == "capitalize") return Text(ChangeCase(text, Case::kCapitalize));
  if (name == "title") return Text(TitleWords(text));
  if (name == "replace") return ReplaceText(text, *bound[0], *bound[1], bound[2], budget);
  if (name == "trim") {
    if (!bound[0].has_value() || bound[0]->IsNone())
      return Value::String(std::string(StripRight(StripLeft(text))));
    if (bound[0]->AsText() == nullptr) return absl::InvalidArgumentError("trim needs a string");
    return Value::String(std::string(StripCharacters(text, *bound[0]->AsText(), true, true)));
  }
  return Value::String(text);
}

Result CollectionFilter(absl::string_view name, const Value& input, const Bound& bound, Budget& budget) {
  if (name == "first" || name == "last") return Edge(input, name == "first", budget);
  if (name == "join") return Join(input, bound, budget);
  if (name == "map") return Map(input, bound, budget);
  if (name == "reverse") return Reverse(input, budget);
  if (name == "select" || name == "reject") return Select(input, bound, false, name == "select", budget);
  if (name == "selectattr" || name == "rejectattr")
    return Select(input, bound, true, name == "selectattr", budget);
  if (name == "length" || name == "count") {
    BATON_ASSIGN_OR_RETURN(const int64_t length, Length(input));
    return Value{length};
  }
  if (name == "items") {
    if (input.IsUndefined()) return MakeList({});
    if (input.AsDict() == nullptr) return absl::InvalidArgumentError("filter 'items' needs a dict");
    return DictItems(*input.AsDict());
  }
  BATON_ASSIGN_OR_RETURN(std::vector<Value> items, Iterate(input, budget));
  return MakeList(std::move(items));
}

}  // namespace

absl::StatusOr<Value> ReplaceText(const std::string& text, const Value& from, const Value& to,
                                  const std::optional<Value>& count, Budget& budget) {
  if (from.AsText() == nullptr || to.AsText() == nullptr)
    return absl::InvalidArgumentError("replace needs strings");
  int64_t most = -1;
  if (count.has_value() && !count->IsNone()) {
    if (!count->IsInteger()) return absl::InvalidArgumentError("replace needs an integer count");
    most = count->Integer();
  }
  const std::string& old = *from.AsText();
  size_t found = 0;
  for (size_t at = text.find(old); at != std::string::npos && !old.empty();
       at = text.find(old, at + old.size()))
    ++found;
  size_t bytes = 0;
  if (__builtin_mul_overflow(found, to.AsText()->size(), &bytes)) bytes = kMaxBytes;
  BATON_RETURN_IF_ERROR(budget.SpendBytes(bytes + text.size()));
  return Text(Replace(text, *from.AsText(), *to.AsText(), most));
}

absl::StatusOr<Value> JoinTexts(const std::vector<Value>& items, const std::string& separator,
                                Budget& budget) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    BATON_RETURN_IF_ERROR(budget.SpendBytes(out.size() + Weight(items[i]) + separator.size() > kMaxBytes
                                                ? kMaxBytes + 1
                                                : Weight(items[i]) + separator.size()));
    absl::StrAppend(&out, i == 0 ? "" : separator, ToText(items[i]));
  }
  return Value::String(std::move(out));
}

absl::StatusOr<Value> DictItems(const Dict& dict) {
  std::vector<Value> items;
  for (const auto& [key, value] : dict.items) {
    BATON_ASSIGN_OR_RETURN(Value pair, MakeList({Value::String(key), value}, ListKind::kTuple));
    items.push_back(std::move(pair));
  }
  return MakeList(std::move(items));
}

absl::StatusOr<Value> ApplyFilter(absl::string_view name, const Value& input, const Arguments& arguments,
                                  Budget& budget) {
  const Bound bound = Bind(*FindFilter(name), arguments);
  BATON_RETURN_IF_ERROR(budget.SpendBytes(Weight(input)));
  if (name == "default" || name == "d") return Default(input, bound);
  if (name == "tojson") return Json(input, bound[1], bound[0]);
  if (name == "int") return ToInteger(input, bound[0]);
  if (name == "float") return ToFloat(input, bound[0]);
  if (name == "abs") {
    if (!input.IsNumber()) return absl::InvalidArgumentError(absl::StrCat("abs of a ", TypeName(input)));
    return input.Number() < 0 ? Negate(input) : Result(input.IsInteger() ? Value{input.Integer()} : input);
  }
  for (const absl::string_view text_filter :
       {"upper", "lower", "capitalize", "title", "replace", "trim", "string", "safe"}) {
    if (name == text_filter) return TextFilter(name, ToText(input), bound, budget);
  }
  return CollectionFilter(name, input, bound, budget);
}

}  // namespace baton::jinja
