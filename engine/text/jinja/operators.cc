#include "engine/text/jinja/operators.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine/text/jinja/python_text.h"

namespace baton::jinja {
namespace {

absl::Status Unsupported(absl::string_view op, const Value& a, const Value& b) {
  return absl::InvalidArgumentError(
      absl::StrCat("unsupported operand types for ", op, ": '", TypeName(a), "' and '", TypeName(b), "'"));
}

absl::Status TooLarge() {
  return absl::InvalidArgumentError("an integer is too large");
}

absl::StatusOr<Value> IntegerArithmetic(absl::string_view op, int64_t a, int64_t b) {
  int64_t result = 0;
  if (op == "+")
    return __builtin_add_overflow(a, b, &result) ? absl::StatusOr<Value>(TooLarge()) : Value{result};
  if (op == "-")
    return __builtin_sub_overflow(a, b, &result) ? absl::StatusOr<Value>(TooLarge()) : Value{result};
  if (op == "*")
    return __builtin_mul_overflow(a, b, &result) ? absl::StatusOr<Value>(TooLarge()) : Value{result};
  if (b == 0) return absl::InvalidArgumentError("division by zero");
  if (b == -1) return op == "%" ? absl::StatusOr<Value>(Value{int64_t{0}}) : IntegerArithmetic("-", 0, a);
  const int64_t remainder = a % b;
  const bool adjust = remainder != 0 && (remainder < 0) != (b < 0);
  if (op == "%") return Value{adjust ? remainder + b : remainder};
  return Value{a / b - (adjust ? 1 : 0)};
}

absl::StatusOr<Value> Arithmetic(absl::string_view op, const Value& a, const Value& b) {
  if (op != "/" && a.IsInteger() && b.IsInteger()) return IntegerArithmetic(op, a.Integer(), b.Integer());
  const double x = a.Number();
  const double y = b.Number();
  if (op == "+") return Value{x + y};
  if (op == "-") return Value{x - y};
  if (op == "*") return Value{x * y};
  if (y == 0) return absl::InvalidArgumentError("division by zero");
  if (op == "/") return Value{x / y};
  if (op == "//") return Value{std::floor(x / y)};
  const double remainder = std::fmod(x, y);
  return Value{remainder != 0 && (remainder < 0) != (y < 0) ? remainder + y : remainder};
}

absl::StatusOr<Value> Repeat(const std::string& text, int64_t times, Budget& budget) {
  size_t size = 0;
  if (__builtin_mul_overflow(text.size(), static_cast<size_t>(std::max<int64_t>(times, 0)), &size))
    size = SIZE_MAX;
  BATON_RETURN_IF_ERROR(budget.SpendBytes(size));
  std::string out;
  out.reserve(size);
  while (out.size() < size) out += text;
  return Value::String(std::move(out));
}

absl::StatusOr<Value> Concatenate(const std::string& a, const std::string& b, Budget& budget) {
  BATON_RETURN_IF_ERROR(budget.SpendBytes(a.size() + b.size()));
  return Value::String(absl::StrCat(a, b));
}

absl::StatusOr<bool> LessThan(absl::string_view op, const Value& a, const Value& b) {
  if (a.IsNumber() && b.IsNumber()) {
    return a.IsInteger() && b.IsInteger() ? a.Integer() < b.Integer() : a.Number() < b.Number();
  }
  if (a.AsText() != nullptr && b.AsText() != nullptr) return *a.AsText() < *b.AsText();
  return Unsupported(op, a, b);
}

}  // namespace

absl::StatusOr<Value> Apply(absl::string_view op, const Value& a, const Value& b, Budget& budget) {
  if (op == "~") {
    BATON_RETURN_IF_ERROR(budget.SpendBytes(Weight(a) + Weight(b)));
    return Concatenate(ToText(a), ToText(b), budget);
  }
  if (a.IsNumber() && b.IsNumber()) return Arithmetic(op, a, b);
  const std::string* left = a.AsText();
  const std::string* right = b.AsText();
  if (op == "+" && left != nullptr && right != nullptr) return Concatenate(*left, *right, budget);
  if (op == "*" && left != nullptr && b.IsInteger()) return Repeat(*left, b.Integer(), budget);
  if (op == "*" && right != nullptr && a.IsInteger()) return Repeat(*right, a.Integer(), budget);
  if (op == "%" && left != nullptr)
    return absl::UnimplementedError("formatting a string with % is not supported");
  if (op == "+" && a.AsList() != nullptr && b.AsList() != nullptr && a.AsList()->kind == b.AsList()->kind &&
      a.AsList()->kind != ListKind::kGenerator) {
    std::vector<Value> items = a.AsList()->items;
    const std::vector<Value>& more = b.AsList()->items;
    BATON_RETURN_IF_ERROR(budget.Spend(items.size() + more.size()));
    items.insert(items.end(), more.begin(), more.end());
    return MakeList(std::move(items), a.AsList()->kind);
  }
  return Unsupported(op, a, b);
}

absl::StatusOr<bool> Compare(absl::string_view op, const Value& a, const Value& b) {
  if (op == "==") return Equal(a, b);
  if (op == "!=") return !Equal(a, b);
  if (op == "in") return Contains(b, a);
  if (op == "not in") {
    BATON_ASSIGN_OR_RETURN(const bool contained, Contains(b, a));
    return !contained;
  }
  if (op == "<") return LessThan(op, a, b);
  if (op == ">") return LessThan(op, b, a);
  BATON_ASSIGN_OR_RETURN(const bool less, LessThan(op, op == "<=" ? a : b, op == "<=" ? b : a));
  return less || Equal(a, b);
}

absl::StatusOr<bool> Contains(const Value& container, const Value& item) {
  if (const std::string* text = container.AsText()) {
    if (item.AsText() == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("'in' a string needs a string, not a ", TypeName(item)));
    }
    return text->find(*item.AsText()) != std::string::npos;
  }
  if (const List* list = container.AsList()) {
    return std::any_of(list->items.begin(), list->items.end(),
                       [&](const Value& each) { return Equal(each, item); });
  }
  if (const Dict* dict = container.AsDict())
    return item.AsText() != nullptr && dict->Find(*item.AsText()) != nullptr;
  if (container.IsUndefined()) return false;
  return absl::InvalidArgumentError(absl::StrCat("a ", TypeName(container), " contains nothing"));
}

absl::StatusOr<Value> Negate(const Value& value) {
  if (!value.IsNumber())
    return absl::InvalidArgumentError(absl::StrCat("a ", TypeName(value), " has no negative"));
  if (value.IsInteger()) return IntegerArithmetic("-", 0, value.Integer());
  return Value{-value.Number()};
}

absl::StatusOr<std::vector<Value>> Iterate(const Value& value, Budget& budget) {
  std::vector<Value> items;
  if (const List* list = value.AsList()) {
    items = list->items;
  } else if (const Dict* dict = value.AsDict()) {
    for (const auto& [key, held] : dict->items) items.push_back(Value::String(key));
  } else if (const std::string* text = value.AsText()) {
    BATON_RETURN_IF_ERROR(budget.Spend(text->size()));
    for (const absl::string_view c : Characters(*text)) items.push_back(Value::String(std::string(c)));
  } else if (!value.IsUndefined()) {
    return absl::InvalidArgumentError(absl::StrCat("a ", TypeName(value), " cannot be iterated over"));
  }
  BATON_RETURN_IF_ERROR(budget.Spend(items.size()));
  return items;
}

absl::StatusOr<int64_t> Length(const Value& value) {
  if (const std::string* text = value.AsText()) return static_cast<int64_t>(Characters(*text).size());
  const List* list = value.AsList();
  if (list != nullptr && list->kind != ListKind::kGenerator) return static_cast<int64_t>(list->items.size());
  if (const Dict* dict = value.AsDict()) return static_cast<int64_t>(dict->items.size());
  if (value.IsUndefined()) return 0;
  return absl::InvalidArgumentError(
      absl::StrCat("a ", list == nullptr ? TypeName(value) : "generator", " has no length"));
}

}  // namespace baton::jinja
