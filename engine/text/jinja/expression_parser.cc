#include "engine/text/jinja/expression_parser.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton::jinja {
namespace {

constexpr int kMaxNesting = 60;  // of brackets and prefixes while parsing

class Nested {
 public:
  explicit Nested(int& level) : level_(level) { ++level_; }
  ~Nested() { --level_; }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;

 private:
  int& level_;
};

}  // namespace

ExpressionPtr ExpressionParser::New(ExpressionKind kind) const {
  auto expression = std::make_unique<Expression>();
  expression->kind = kind;
  expression->line = tokens_.Peek().line;
  return expression;
}

ExpressionParser::Result ExpressionParser::Finish(ExpressionPtr expression) const {
  for (const ExpressionPtr& arg : expression->args)
    expression->depth = std::max(expression->depth, arg->depth + 1);
  for (const auto& [name, arg] : expression->named)
    expression->depth = std::max(expression->depth, arg->depth + 1);
  if (expression->depth > kMaxTreeDepth) return tokens_.Invalid("an expression nests too deeply");
  return expression;
}

ExpressionParser::Result ExpressionParser::Binary(ExpressionKind kind, std::string name, ExpressionPtr left,
                                                  Result right) const {
  BATON_RETURN_IF_ERROR(right.status());
  ExpressionPtr expression = New(kind);
  expression->name = std::move(name);
  expression->args.push_back(std::move(left));
  expression->args.push_back(*std::move(right));
  return Finish(std::move(expression));
}

ExpressionParser::Result ExpressionParser::Parse() {
  BATON_ASSIGN_OR_RETURN(ExpressionPtr first, ParseSingle());
  if (!tokens_.IsOperator(",")) return first;
  ExpressionPtr tuple = New(ExpressionKind::kTuple);
  tuple->args.push_back(std::move(first));
  while (tokens_.TakeOperator(",")) {
    if (tokens_.Is(TokenKind::kBlockEnd) || tokens_.Is(TokenKind::kPrintEnd) || tokens_.IsOperator(")"))
      break;
    BATON_ASSIGN_OR_RETURN(ExpressionPtr item, ParseSingle());
    tuple->args.push_back(std::move(item));
  }
  return Finish(std::move(tuple));
}

ExpressionParser::Result ExpressionParser::ParseNoConditional() {
  return ParseOr();
}

ExpressionParser::Result ExpressionParser::ParseSingle() {
  const Nested nested(nesting_);
  if (nesting_ > kMaxNesting) return tokens_.Invalid("an expression nests too deeply");
  BATON_ASSIGN_OR_RETURN(ExpressionPtr value, ParseOr());
  while (tokens_.IsName("if")) {
    ExpressionPtr conditional = New(ExpressionKind::kConditional);
    tokens_.Next();
    BATON_ASSIGN_OR_RETURN(ExpressionPtr condition, ParseOr());
    ExpressionPtr otherwise = New(ExpressionKind::kLiteral);
    otherwise->value = Value::Missing("the else that an inline if lacks");
    if (tokens_.TakeName("else")) {
      BATON_ASSIGN_OR_RETURN(otherwise, ParseSingle());
    }
    conditional->args.push_back(std::move(value));
    conditional->args.push_back(std::move(condition));
    conditional->args.push_back(std::move(otherwise));
    BATON_ASSIGN_OR_RETURN(value, Finish(std::move(conditional)));
  }
  return value;
}

ExpressionParser::Result ExpressionParser::ParseOr() {
  BATON_ASSIGN_OR_RETURN(ExpressionPtr left, ParseAnd());
  while (tokens_.TakeName("or")) {
    BATON_ASSIGN_OR_RETURN(left, Binary(ExpressionKind::kOr, "or", std::move(left), ParseAnd()));
  }
  return left;
}

ExpressionParser::Result ExpressionParser::ParseAnd() {
  BATON_ASSIGN_OR_RETURN(ExpressionPtr left, ParseNot());
  while (tokens_.TakeName("and")) {
    BATON_ASSIGN_OR_RETURN(left, Binary(ExpressionKind::kAnd, "and", std::move(left), ParseNot()));
  }
  return left;
}

ExpressionParser::Result ExpressionParser::ParseNot() {
  if (!tokens_.IsName("not")) return ParseComparison();
  const Nested nested(nesting_);
  if (nesting_ > kMaxNesting) return tokens_.Invalid("an expression nests too deeply");
  ExpressionPtr negation = New(ExpressionKind::kNot);
  tokens_.Next();
  BATON_ASSIGN_OR_RETURN(ExpressionPtr operand, ParseNot());
  negation->args.push_back(std::move(operand));
  return Finish(std::move(negation));
}

ExpressionParser::Result ExpressionParser::ParseComparison() {
  BATON_ASSIGN_OR_RETURN(ExpressionPtr first, ParseAdditive());
  ExpressionPtr comparison = New(ExpressionKind::kComparison);
  while (true) {
    std::string op;
    for (const char* known : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (op.empty() && tokens_.TakeOperator(known)) op = known;
    }
    if (op.empty() && tokens_.TakeName("in")) op = "in";
    if (op.empty() && tokens_.IsName("not") && tokens_.Peek(1).kind == TokenKind::kName &&
        tokens_.Peek(1).text == "in") {
      tokens_.Next();
      tokens_.Next();
      op = "not in";
    }
    if (op.empty()) break;
    BATON_ASSIGN_OR_RETURN(ExpressionPtr right, ParseAdditive());
    comparison->ops.push_back(std::move(op));
    comparison->args.push_back(std::move(right));
  }
  if (comparison->ops.empty()) return first;
  comparison->args.insert(comparison->args.begin(), std::move(first));
  return Finish(std::move(comparison));
}

ExpressionParser::Result ExpressionParser::ParseAdditive() {
  BATON_ASSIGN_OR_RETURN(ExpressionPtr left, ParseConcatenation());
  while (tokens_.IsOperator("+") || tokens_.IsOperator("-")) {
    const std::string op = tokens_.Next().text;
    BATON_ASSIGN_OR_RETURN(left, Binary(ExpressionKind::kBinary, op, std::move(left), ParseConcatenation()));
  }
  return left;
}

ExpressionParser::Result ExpressionParser::ParseConcatenation() {
  BATON_ASSIGN_OR_RETURN(ExpressionPtr left, ParseMultiplicative());
  while (tokens_.TakeOperator("~")) {
    BATON_ASSIGN_OR_RETURN(left,
                           Binary(ExpressionKind::kBinary, "~", std::move(left), ParseMultiplicative()));
  }
  return left;
}

ExpressionParser::Result ExpressionParser::ParseMultiplicative() {
  BATON_ASSIGN_OR_RETURN(ExpressionPtr left, ParseUnary(true));
  while (tokens_.IsOperator("*") || tokens_.IsOperator("/") || tokens_.IsOperator("//") ||
         tokens_.IsOperator("%")) {
    const std::string op = tokens_.Next().text;
    BATON_ASSIGN_OR_RETURN(left, Binary(ExpressionKind::kBinary, op, std::move(left), ParseUnary(true)));
  }
  if (tokens_.IsOperator("**")) return tokens_.Unknown("operator '**'");
  return left;
}

ExpressionParser::Result ExpressionParser::ParseUnary(bool with_filters) {
  if (tokens_.IsOperator("-") || tokens_.IsOperator("+")) {
    const Nested nested(nesting_);
    if (nesting_ > kMaxNesting) return tokens_.Invalid("an expression nests too deeply");
    ExpressionPtr sign = New(tokens_.IsOperator("-") ? ExpressionKind::kNegate : ExpressionKind::kPlus);
    tokens_.Next();
    BATON_ASSIGN_OR_RETURN(ExpressionPtr operand, ParseUnary(false));
    sign->args.push_back(std::move(operand));
    BATON_ASSIGN_OR_RETURN(sign, Finish(std::move(sign)));
    return ParsePostfix(std::move(sign), with_filters);
  }
  BATON_ASSIGN_OR_RETURN(ExpressionPtr primary, ParsePrimary());
  return ParsePostfix(std::move(primary), with_filters);
}

ExpressionParser::Result ExpressionParser::ParsePrimary() {
  ExpressionPtr literal = New(ExpressionKind::kLiteral);
  const Token token = tokens_.Peek();
  if (tokens_.IsOperator("(")) return ParseParenthesis();
  if (tokens_.IsOperator("[")) return ParseListLiteral();
  if (tokens_.IsOperator("{")) return ParseDictLiteral();
  if (token.kind == TokenKind::kName) {
    tokens_.Next();
    if (token.text == "true" || token.text == "True") {
      literal->value = Value{true};
    } else if (token.text == "false" || token.text == "False") {
      literal->value = Value{false};
    } else if (token.text == "none" || token.text == "None") {
      literal->value = Value{None{}};
    } else {
      literal->kind = ExpressionKind::kName;
      literal->name = token.text;
    }
  } else if (token.kind == TokenKind::kString) {
    std::string text;
    while (tokens_.Is(TokenKind::kString)) text += tokens_.Next().text;
    literal->value = Value::String(std::move(text));
  } else if (token.kind == TokenKind::kInteger) {
    int64_t number = 0;
    if (!absl::SimpleAtoi(token.text, &number)) return tokens_.Invalid("an integer is too large");
    tokens_.Next();
    literal->value = Value{number};
  } else if (token.kind == TokenKind::kFloat) {
    double number = 0;
    if (!absl::SimpleAtod(token.text, &number)) return tokens_.Invalid("a number is malformed");
    tokens_.Next();
    literal->value = Value{number};
  } else {
    return tokens_.Invalid(token.text.empty() ? "an expression is missing"
                                              : absl::StrCat("unexpected '", token.text, "'"));
  }
  return literal;
}

ExpressionParser::Result ExpressionParser::ParseParenthesis() {
  ExpressionPtr tuple = New(ExpressionKind::kTuple);
  tokens_.Next();
  if (tokens_.TakeOperator(")")) return tuple;
  BATON_ASSIGN_OR_RETURN(ExpressionPtr inner, Parse());
  BATON_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kOperator, ")", "')'"));
  return inner;
}

ExpressionParser::Result ExpressionParser::ParseListLiteral() {
  ExpressionPtr list = New(ExpressionKind::kList);
  tokens_.Next();
  while (!tokens_.IsOperator("]")) {
    BATON_ASSIGN_OR_RETURN(ExpressionPtr item, ParseSingle());
    list->args.push_back(std::move(item));
    if (!tokens_.TakeOperator(",")) break;
  }
  BATON_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kOperator, "]", "']'"));
  return Finish(std::move(list));
}

ExpressionParser::Result ExpressionParser::ParseDictLiteral() {
  ExpressionPtr dict = New(ExpressionKind::kDict);
  tokens_.Next();
  while (!tokens_.IsOperator("}")) {
    BATON_ASSIGN_OR_RETURN(ExpressionPtr key, ParseSingle());
    BATON_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kOperator, ":", "':'"));
    BATON_ASSIGN_OR_RETURN(ExpressionPtr value, ParseSingle());
    dict->args.push_back(std::move(key));
    dict->args.push_back(std::move(value));
    if (!tokens_.TakeOperator(",")) break;
  }
  BATON_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kOperator, "}", "'}'"));
  return Finish(std::move(dict));
}

ExpressionParser::Result ExpressionParser::ParsePostfix(ExpressionPtr operand, bool with_filters) {
  while (true) {
    Result next = ExpressionPtr();
    if (tokens_.IsOperator(".")) {
      next = ParseAttribute(std::move(operand));
    } else if (tokens_.IsOperator("[")) {
      next = ParseSubscript(std::move(operand));
    } else if (tokens_.IsOperator("(")) {
      next = ParseCall(std::move(operand));
    } else if (with_filters && tokens_.IsOperator("|")) {
      next = ParseFilter(std::move(operand));
    } else if (with_filters && tokens_.IsName("is")) {
      next = ParseTest(std::move(operand));
    } else {
      return operand;
    }
    BATON_RETURN_IF_ERROR(next.status());
    BATON_ASSIGN_OR_RETURN(operand, Finish(*std::move(next)));
  }
}

}  // namespace baton::jinja
