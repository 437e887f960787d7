#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/operators.h"

namespace baton::jinja {
namespace {

bool IsBool(const Value& value) {
  return std::holds_alternative<bool>(value.held);
}

absl::StatusOr<int64_t> Modulo(const Value& value, const Value& divisor) {
  if (!value.IsInteger() || !divisor.IsInteger())
    return absl::InvalidArgumentError("divisibility needs integers");
  Budget unlimited;
  BATON_ASSIGN_OR_RETURN(const Value remainder, Apply("%", value, divisor, unlimited));
  return remainder.Integer();
}

}  // namespace

absl::StatusOr<bool> ApplyTest(absl::string_view name, const Value& input, const Arguments& arguments) {
  const Signature* signature = FindTest(name);
  if (signature == nullptr)
    return absl::UnimplementedError(absl::StrCat("test '", name, "' is not supported"));
  std::vector<std::string> names;
  BATON_RETURN_IF_ERROR(CheckArguments(*signature, arguments.positional.size(), names));
  const Value argument = arguments.positional.empty() ? Value{None{}} : arguments.positional[0];
  if (name == "defined") return !input.IsUndefined();
  if (name == "undefined") return input.IsUndefined();
  if (name == "none") return input.IsNone();
  if (name == "string") return input.AsText() != nullptr;
  if (name == "mapping") return input.AsDict() != nullptr;
  if (name == "boolean") return IsBool(input);
  if (name == "true" || name == "false") return IsBool(input) && Truthy(input) == (name == "true");
  if (name == "number") return input.IsNumber();
  if (name == "integer") return input.IsInteger() && !IsBool(input);
  if (name == "float") return std::holds_alternative<double>(input.held);
  if (name == "eq" || name == "equalto") return Equal(input, argument);
  if (name == "ne") return !Equal(input, argument);
  if (name == "in") return Contains(argument, input);
  if (name == "iterable" || name == "sequence") {
    const bool is_generator = input.AsList() != nullptr && input.AsList()->kind == ListKind::kGenerator;
    const bool has_items =
        input.AsList() != nullptr || input.AsDict() != nullptr || input.AsText() != nullptr;
    return name == "iterable" ? has_items || input.IsUndefined() : has_items && !is_generator;
  }
  const bool by_two = name == "even" || name == "odd";
  BATON_ASSIGN_OR_RETURN(const int64_t rest, Modulo(input, by_two ? Value{int64_t{2}} : argument));
  return name == "odd" ? rest != 0 : rest == 0;
}

}  // namespace baton::jinja
