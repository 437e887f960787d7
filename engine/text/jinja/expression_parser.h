#pragma once

// Parses what stands inside tags, by Jinja2's grammar and precedence (jinja2/parser.py). Filters, tests,
// methods and their arguments are checked against signatures.h here, so that an unknown one is an
// Unimplemented error before anything is rendered.

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/signatures.h"
#include "engine/text/jinja/token_stream.h"

namespace baton::jinja {

class ExpressionParser {
 public:
  // `macros`: the names that the template defines as macros, callable besides the known functions.
  ExpressionParser(TokenStream& tokens, const std::set<std::string>& macros)
      : tokens_(tokens), macros_(macros) {}

  absl::StatusOr<ExpressionPtr> Parse();               // with a, b: a tuple
  absl::StatusOr<ExpressionPtr> ParseNoConditional();  // without `x if y`: what a for loop runs over
  absl::StatusOr<ExpressionPtr> ParseSingle();         // no bare tuple

 private:
  using Result = absl::StatusOr<ExpressionPtr>;
  Result ParseOr();
  Result ParseAnd();
  Result ParseNot();
  Result ParseComparison();
  Result ParseAdditive();
  Result ParseConcatenation();
  Result ParseMultiplicative();
  Result ParseUnary(bool with_filters);
  Result ParsePrimary();
  Result ParseParenthesis();
  Result ParseListLiteral();
  Result ParseDictLiteral();
  Result ParsePostfix(ExpressionPtr operand, bool with_filters);
  Result ParseAttribute(ExpressionPtr operand);
  Result ParseSubscript(ExpressionPtr operand);
  Result ParseCall(ExpressionPtr callee);
  Result ParseFilter(ExpressionPtr operand);
  Result ParseTest(ExpressionPtr operand);
  absl::Status ParseArguments(Expression& call);  // after "("
  absl::Status CheckCall(const Expression& call, const Signature* signature, absl::string_view what) const;

  ExpressionPtr New(ExpressionKind kind) const;
  Result Finish(ExpressionPtr expression) const;  // works out its depth, refuses what is too deep
  Result Binary(ExpressionKind kind, std::string name, ExpressionPtr left, Result right) const;

  TokenStream& tokens_;
  const std::set<std::string>& macros_;
  int nesting_ = 0;
};

}  // namespace baton::jinja
