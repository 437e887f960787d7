// The half of Interpreter that works out expressions.

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/operators.h"

namespace baton::jinja {
namespace {

constexpr int kMaxEvaluationDepth = 600;  // through macros too
constexpr int64_t kMaxRange = 100'000;

}  // namespace

absl::StatusOr<Value> Interpreter::Evaluate(const Expression& expression) {
  if (++depth_ > kMaxEvaluationDepth) return absl::ResourceExhaustedError("the template recurses too deeply");
  absl::Status status = budget_.Spend(1);
  absl::StatusOr<Value> value = status.ok() ? EvaluateKind(expression) : absl::StatusOr<Value>(status);
  --depth_;
  if (!value.ok()) return AtLine(expression.line, value.status());
  return value;
}

absl::StatusOr<Value> Interpreter::EvaluateKind(const Expression& expression) {
  switch (expression.kind) {
    case ExpressionKind::kLiteral:
      return expression.value;
    case ExpressionKind::kName:
      return EvaluateName(expression);
    case ExpressionKind::kList:
    case ExpressionKind::kTuple:
      return EvaluateSequence(expression);
    case ExpressionKind::kDict:
      return EvaluateDict(expression);
    case ExpressionKind::kCall:
      return Call(expression);
    case ExpressionKind::kComparison:
      return EvaluateComparison(expression);
    case ExpressionKind::kConditional:
      return EvaluateConditional(expression);
    case ExpressionKind::kAnd:
    case ExpressionKind::kOr: {
      BATON_ASSIGN_OR_RETURN(Value left, Evaluate(*expression.args[0]));
      if (Truthy(left) == (expression.kind == ExpressionKind::kOr)) return left;
      return Evaluate(*expression.args[1]);
    }
    default:
      return EvaluateParts(expression);
  }
}

// The kinds that need all their parts' values, and args[0] first.
absl::StatusOr<Value> Interpreter::EvaluateParts(const Expression& expression) {
  BATON_ASSIGN_OR_RETURN(const Value first, Evaluate(*expression.args[0]));
  BATON_ASSIGN_OR_RETURN(const Arguments arguments, EvaluateArguments(expression));
  const std::vector<Value>& rest = arguments.positional;
  switch (expression.kind) {
    case ExpressionKind::kNot:
      return Value{!Truthy(first)};
    case ExpressionKind::kNegate:
      return Negate(first);
    case ExpressionKind::kPlus:
      if (first.IsNumber()) return first;
      return absl::InvalidArgumentError(absl::StrCat("'+' before a ", TypeName(first)));
    case ExpressionKind::kAttribute:
      return GetAttribute(first, expression.name);
    case ExpressionKind::kItem:
      return GetItem(first, rest[0]);
    case ExpressionKind::kSlice:
      return Slice(first, rest[0], rest[1], rest[2], budget_);
    case ExpressionKind::kBinary:
      return Apply(expression.name, first, rest[0], budget_);
    case ExpressionKind::kFilter:
      return ApplyFilter(expression.name, first, arguments, budget_);
    case ExpressionKind::kMethod:
      return CallMethod(expression.name, first, arguments, budget_);
    case ExpressionKind::kTest: {
      BATON_ASSIGN_OR_RETURN(const bool passes, ApplyTest(expression.name, first, arguments));
      return Value{passes};
    }
    default:
      return absl::InternalError("an expression of unknown kind");
  }
}

absl::StatusOr<Value> Interpreter::EvaluateName(const Expression& expression) {
  if (const Value* found = Find(expression.name)) return *found;
  const bool is_function = FindFunction(expression.name) != nullptr && expression.name != "strftime_now";
  if (is_function) {
    return absl::UnimplementedError(
        absl::StrCat("function '", expression.name, "' as a value is not supported"));
  }
  return Value::Missing(expression.name);
}

absl::StatusOr<Value> Interpreter::EvaluateSequence(const Expression& expression) {
  std::vector<Value> items;
  for (const ExpressionPtr& arg : expression.args) {
    BATON_ASSIGN_OR_RETURN(Value item, Evaluate(*arg));
    items.push_back(std::move(item));
  }
  return MakeList(std::move(items),
                  expression.kind == ExpressionKind::kTuple ? ListKind::kTuple : ListKind::kList);
}

absl::StatusOr<Value> Interpreter::EvaluateDict(const Expression& expression) {
  std::vector<std::pair<std::string, Value>> items;
  for (size_t i = 0; i + 1 < expression.args.size(); i += 2) {
    BATON_ASSIGN_OR_RETURN(const Value key, Evaluate(*expression.args[i]));
    BATON_ASSIGN_OR_RETURN(Value value, Evaluate(*expression.args[i + 1]));
    if (key.AsText() == nullptr) {
      return absl::UnimplementedError(
          absl::StrCat("a ", TypeName(key), " as a dictionary's key is not supported"));
    }
    items.emplace_back(*key.AsText(), std::move(value));
  }
  return MakeDict(std::move(items));
}

absl::StatusOr<Value> Interpreter::EvaluateComparison(const Expression& expression) {
  BATON_ASSIGN_OR_RETURN(Value left, Evaluate(*expression.args[0]));
  for (size_t i = 0; i < expression.ops.size(); ++i) {
    BATON_ASSIGN_OR_RETURN(Value right, Evaluate(*expression.args[i + 1]));
    BATON_RETURN_IF_ERROR(budget_.Spend((Weight(left) + Weight(right)) / kBytesPerStep));
    BATON_ASSIGN_OR_RETURN(const bool holds, Compare(expression.ops[i], left, right));
    if (!holds) return Value{false};
    left = std::move(right);
  }
  return Value{true};
}

absl::StatusOr<Value> Interpreter::EvaluateConditional(const Expression& expression) {
  BATON_ASSIGN_OR_RETURN(const Value condition, Evaluate(*expression.args[1]));
  return Evaluate(*expression.args[Truthy(condition) ? 0 : 2]);
}

absl::StatusOr<Arguments> Interpreter::EvaluateArguments(const Expression& expression) {
  Arguments arguments;
  for (size_t i = 1; i < expression.args.size(); ++i) {
    BATON_ASSIGN_OR_RETURN(Value value, Evaluate(*expression.args[i]));
    arguments.positional.push_back(std::move(value));
  }
  for (const auto& [name, arg] : expression.named) {
    BATON_ASSIGN_OR_RETURN(Value value, Evaluate(*arg));
    arguments.named.emplace_back(name, std::move(value));
  }
  return arguments;
}

absl::StatusOr<Value> Interpreter::Call(const Expression& expression) {
  BATON_ASSIGN_OR_RETURN(Arguments arguments, EvaluateArguments(expression));
  if (const Value* found = Find(expression.name)) {
    if (const auto* macro = std::get_if<Value::Macro>(&found->held)) return CallMacro(**macro, arguments);
    return absl::InvalidArgumentError(absl::StrCat("'", expression.name, "' cannot be called"));
  }
  if (FindFunction(expression.name) == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("'", expression.name, "' is undefined"));
  }
  return CallFunction(expression.name, std::move(arguments));
}

absl::StatusOr<Value> Interpreter::CallMacro(const Statement& macro, const Arguments& arguments) {
  const size_t count = macro.targets.size();
  if (arguments.positional.size() > count) {
    return absl::InvalidArgumentError(
        absl::StrCat("macro '", macro.text, "' takes at most ", count, " arguments"));
  }
  Variables locals;
  for (size_t i = 0; i < arguments.positional.size(); ++i)
    locals.emplace_back(macro.targets[i], arguments.positional[i]);
  for (const auto& [name, value] : arguments.named) {
    if (std::find(macro.targets.begin(), macro.targets.end(), name) == macro.targets.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("macro '", macro.text, "' has no parameter '", name, "'"));
    }
    locals.emplace_back(name, value);
  }
  const size_t outer_frame = std::exchange(frame_, scopes_.size());
  const int64_t outer_loops = std::exchange(loop_depth_, 0);
  scopes_.push_back(std::move(locals));
  absl::Status status;
  const size_t first_default = count - macro.expressions.size();
  for (size_t i = 0; i < count && status.ok(); ++i) {
    const Variables& given = scopes_.back();
    const auto same = [&](const auto& each) { return each.first == macro.targets[i]; };
    if (std::any_of(given.begin(), given.end(), same)) continue;
    absl::StatusOr<Value> value = Value::Missing(macro.targets[i]);
    if (i >= first_default) value = Evaluate(*macro.expressions[i - first_default]);
    status = value.status();
    if (status.ok()) scopes_.back().emplace_back(macro.targets[i], *std::move(value));
  }
  const absl::StatusOr<std::string> text =
      status.ok() ? Capture(macro.bodies[0]) : absl::StatusOr<std::string>(status);
  scopes_.pop_back();
  frame_ = outer_frame;
  loop_depth_ = outer_loops;
  BATON_RETURN_IF_ERROR(text.status());
  return Value::String(*text);
}

absl::StatusOr<Value> Interpreter::CallFunction(absl::string_view name, Arguments arguments) {
  if (name == "raise_exception") {
    error_has_line_ = true;
    const Value& message = arguments.positional.empty() ? arguments.named[0].second : arguments.positional[0];
    return absl::InvalidArgumentError(ToText(message));
  }
  if (name == "range") return Range(arguments);
  if (name == "strftime_now") return absl::UnimplementedError("function 'strftime_now' is not supported");
  std::vector<std::pair<std::string, Value>> items;
  if (!arguments.positional.empty()) {
    const Dict* dict = arguments.positional[0].AsDict();
    if (dict == nullptr)
      return absl::UnimplementedError(absl::StrCat("'", name, "' of anything but a dict is not supported"));
    items = dict->items;
  }
  for (auto& named : arguments.named) items.push_back(std::move(named));
  BATON_ASSIGN_OR_RETURN(Value dict, MakeDict(std::move(items)));
  if (name == "dict") return dict;
  return Value{std::make_shared<Namespace>(Namespace{dict.AsDict()->items})};
}

absl::StatusOr<Value> Interpreter::Range(const Arguments& arguments) {
  int64_t parts[3] = {0, 0, 1};
  const size_t given = arguments.positional.size();
  if (given == 0 || !arguments.named.empty())
    return absl::InvalidArgumentError("range takes no named arguments");
  for (size_t i = 0; i < given; ++i) {
    if (!arguments.positional[i].IsInteger()) return absl::InvalidArgumentError("range needs integers");
    parts[given == 1 ? 1 : i] = arguments.positional[i].Integer();
  }
  const auto [start, stop, step] = std::make_tuple(parts[0], parts[1], parts[2]);
  if (step == 0) return absl::InvalidArgumentError("range's step cannot be zero");
  std::vector<Value> items;
  for (__int128 at = start; step > 0 ? at < stop : at > stop; at += step) {
    if (items.size() >= static_cast<size_t>(kMaxRange))
      return absl::ResourceExhaustedError("range is too long");
    items.push_back(Value{static_cast<int64_t>(at)});
  }
  BATON_RETURN_IF_ERROR(budget_.Spend(items.size()));
  return MakeList(std::move(items));
}

}  // namespace baton::jinja
