#pragma once

// The syntax tree of a template. Trees are of bounded depth (kMaxTreeDepth), so that walking one never
// overflows a stack.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/text/jinja/value.h"

namespace baton::jinja {

inline constexpr int kMaxTreeDepth = 200;

enum class ExpressionKind {
  kLiteral,      // value
  kName,         // name
  kList,         // args
  kTuple,        // args
  kDict,         // args: key, value, key, value...
  kAttribute,    // args[0].name
  kItem,         // args[0][args[1]]
  kSlice,        // args[0][args[1]:args[2]:args[3]]; a part left out is a literal None
  kCall,         // args[0](rest, named)
  kMethod,       // args[0].name(rest, named)
  kFilter,       // args[0] | name(rest, named)
  kTest,         // args[0] is name(rest)
  kNot,          // args[0]
  kAnd,          // args[0], args[1]
  kOr,           // args[0], args[1]
  kNegate,       // args[0]
  kPlus,         // args[0]
  kBinary,       // args[0] name args[1]
  kComparison,   // args[0] ops[0] args[1] ops[1] args[2]...
  kConditional,  // args[0] if args[1] else args[2]
};

struct Expression {
  ExpressionKind kind;
  int line = 0;
  int depth = 1;
  std::string name;
  Value value;
  std::vector<std::unique_ptr<Expression>> args;
  std::vector<std::pair<std::string, std::unique_ptr<Expression>>> named;
  std::vector<std::string> ops;
};
using ExpressionPtr = std::unique_ptr<Expression>;

enum class StatementKind {
  kText,      // text
  kPrint,     // expressions[0]
  kIf,        // expressions[i] guards bodies[i]; one body more is the else
  kFor,       // targets in expressions[0] (if expressions[1]): bodies[0], else bodies[1]
  kSet,       // targets = expressions[0], or of what bodies[0] prints
  kSetField,  // targets[0].text = expressions[0]
  kMacro,     // text(targets = expressions, the last ones' defaults): bodies[0]
  kGroup,     // bodies[0]
  kBreak,
  kContinue,
};

struct Statement {
  StatementKind kind;
  int line = 0;
  std::string text;
  std::vector<std::string> targets;
  std::vector<ExpressionPtr> expressions;
  std::vector<std::vector<std::unique_ptr<Statement>>> bodies;
};
using StatementPtr = std::unique_ptr<Statement>;
using Body = std::vector<StatementPtr>;

}  // namespace baton::jinja
