// The half of ExpressionParser that follows an operand: attributes, subscripts, calls, filters and tests.

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine/text/jinja/expression_parser.h"

namespace baton::jinja {

ExpressionParser::Result ExpressionParser::ParseAttribute(ExpressionPtr operand) {
  tokens_.Next();
  ExpressionPtr attribute = New(ExpressionKind::kAttribute);
  if (tokens_.Is(TokenKind::kInteger)) {
    attribute->kind = ExpressionKind::kItem;
    attribute->args.push_back(std::move(operand));
    BATON_ASSIGN_OR_RETURN(ExpressionPtr index, ParsePrimary());
    attribute->args.push_back(std::move(index));
    return attribute;
  }
  if (!tokens_.Is(TokenKind::kName)) return tokens_.Invalid("expected a name after '.'");
  attribute->name = tokens_.Next().text;
  attribute->args.push_back(std::move(operand));
  return attribute;
}

ExpressionParser::Result ExpressionParser::ParseSubscript(ExpressionPtr operand) {
  tokens_.Next();
  ExpressionPtr item = New(ExpressionKind::kItem);
  item->args.push_back(std::move(operand));
  while (true) {
    ExpressionPtr part = New(ExpressionKind::kLiteral);
    part->value = Value{None{}};
    const bool left_out = tokens_.IsOperator(":") || (tokens_.IsOperator("]") && item->args.size() > 1);
    if (!left_out) {
      BATON_ASSIGN_OR_RETURN(part, ParseSingle());
    }
    item->args.push_back(std::move(part));
    if (!tokens_.TakeOperator(":")) break;
    item->kind = ExpressionKind::kSlice;
    if (item->args.size() > 3) return tokens_.Invalid("a slice has too many parts");
  }
  if (tokens_.IsOperator(",")) return tokens_.Unknown("a subscript with ','");
  BATON_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kOperator, "]", "']'"));
  while (item->kind == ExpressionKind::kSlice && item->args.size() < 4) {
    ExpressionPtr part = New(ExpressionKind::kLiteral);
    part->value = Value{None{}};
    item->args.push_back(std::move(part));
  }
  return item;
}

absl::Status ExpressionParser::ParseArguments(Expression& call) {
  tokens_.Next();
  while (!tokens_.IsOperator(")")) {
    if (tokens_.IsOperator("*") || tokens_.IsOperator("**"))
      return tokens_.Unknown("unpacking arguments with '*'");
    const bool is_named = tokens_.Is(TokenKind::kName) && tokens_.Peek(1).kind == TokenKind::kOperator &&
                          tokens_.Peek(1).text == "=";
    if (is_named) {
      std::string name = tokens_.Next().text;
      tokens_.Next();
      BATON_ASSIGN_OR_RETURN(ExpressionPtr value, ParseSingle());
      call.named.emplace_back(std::move(name), std::move(value));
    } else {
      if (!call.named.empty()) return tokens_.Invalid("a positional argument follows a named one");
      BATON_ASSIGN_OR_RETURN(ExpressionPtr value, ParseSingle());
      call.args.push_back(std::move(value));
    }
    if (!tokens_.TakeOperator(",")) break;
  }
  return tokens_.Expect(TokenKind::kOperator, ")", "')'");
}

absl::Status ExpressionParser::CheckCall(const Expression& call, const Signature* signature,
                                         absl::string_view what) const {
  const std::string line = absl::StrCat("line ", call.line, ": ");
  if (signature == nullptr) {
    return absl::UnimplementedError(absl::StrCat(line, what, " '", call.name, "' is not supported"));
  }
  std::vector<std::string> names;
  for (const auto& [name, value] : call.named) names.push_back(name);
  const absl::Status checked = CheckArguments(*signature, call.args.size() - 1, names);
  return checked.ok() ? checked
                      : absl::Status(checked.code(), absl::StrCat(line, what, " ", checked.message()));
}

ExpressionParser::Result ExpressionParser::ParseCall(ExpressionPtr callee) {
  ExpressionPtr call = New(ExpressionKind::kCall);
  call->name = callee->name;
  const ExpressionKind kind = callee->kind;
  if (kind == ExpressionKind::kAttribute) {
    call->kind = ExpressionKind::kMethod;
    call->args.push_back(std::move(callee->args[0]));
  } else if (kind == ExpressionKind::kName) {
    call->args.push_back(std::move(callee));
  } else {
    return tokens_.Unknown("calling the result of an expression");
  }
  BATON_RETURN_IF_ERROR(ParseArguments(*call));
  if (kind == ExpressionKind::kAttribute) {
    BATON_RETURN_IF_ERROR(CheckCall(*call, FindMethod(call->name), "method"));
  } else if (!macros_.contains(call->name)) {
    const bool one_dict = (call->name == "dict" || call->name == "namespace") && call->args.size() == 2;
    if (!one_dict) BATON_RETURN_IF_ERROR(CheckCall(*call, FindFunction(call->name), "function"));
  }
  return call;
}

ExpressionParser::Result ExpressionParser::ParseFilter(ExpressionPtr operand) {
  tokens_.Next();
  if (!tokens_.Is(TokenKind::kName)) return tokens_.Invalid("expected a filter's name after '|'");
  ExpressionPtr filter = New(ExpressionKind::kFilter);
  filter->name = tokens_.Next().text;
  filter->args.push_back(std::move(operand));
  if (tokens_.IsOperator("(")) {
    BATON_RETURN_IF_ERROR(ParseArguments(*filter));
  }
  BATON_RETURN_IF_ERROR(CheckCall(*filter, FindFilter(filter->name), "filter"));
  return filter;
}

ExpressionParser::Result ExpressionParser::ParseTest(ExpressionPtr operand) {
  tokens_.Next();
  const bool negated = tokens_.TakeName("not");
  if (!tokens_.Is(TokenKind::kName)) return tokens_.Invalid("expected a test's name after 'is'");
  ExpressionPtr test = New(ExpressionKind::kTest);
  test->name = tokens_.Next().text;
  test->args.push_back(std::move(operand));
  const Token& next = tokens_.Peek();
  const bool is_word = next.kind == TokenKind::kName && next.text != "else" && next.text != "or" &&
                       next.text != "and" && next.text != "is" && next.text != "if" && next.text != "not" &&
                       next.text != "in";
  if (tokens_.IsOperator("(")) {
    BATON_RETURN_IF_ERROR(ParseArguments(*test));
  } else if (is_word || next.kind == TokenKind::kString || next.kind == TokenKind::kInteger ||
             next.kind == TokenKind::kFloat || tokens_.IsOperator("[") || tokens_.IsOperator("{")) {
    BATON_ASSIGN_OR_RETURN(ExpressionPtr argument, ParsePrimary());
    BATON_ASSIGN_OR_RETURN(argument, ParsePostfix(std::move(argument), false));
    test->args.push_back(std::move(argument));
  }
  BATON_RETURN_IF_ERROR(CheckCall(*test, FindTest(test->name), "test"));
  if (!negated) return test;
  ExpressionPtr negation = New(ExpressionKind::kNot);
  BATON_ASSIGN_OR_RETURN(test, Finish(std::move(test)));
  negation->args.push_back(std::move(test));
  return negation;
}

}  // namespace baton::jinja
