#pragma once

// Runs a parsed template once. Names resolve as in Jinja2: a loop's turn and a macro's call have scopes of
// their own, an if has none, and only a namespace's fields outlive the scope that sets them. Not thread-safe;
// the tree it runs is only read.

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/budget.h"
#include "engine/text/jinja/signatures.h"

namespace baton::jinja {

class Interpreter {
 public:
  using Variables = std::vector<std::pair<std::string, Value>>;
  explicit Interpreter(Variables globals);

  // InvalidArgument with the line (raise_exception: with its message alone), Unimplemented, or
  // ResourceExhausted.
  absl::StatusOr<std::string> Run(const Body& body);

 private:
  enum class Flow { kNext, kBreak, kContinue };

  absl::StatusOr<Flow> Execute(const Body& body);
  absl::StatusOr<Flow> Execute(const Statement& statement);
  absl::StatusOr<Flow> ExecuteIf(const Statement& statement);
  absl::StatusOr<Flow> ExecuteFor(const Statement& statement);
  absl::StatusOr<std::vector<Value>> LoopItems(const Statement& statement);
  absl::Status ExecuteSet(const Statement& statement);
  absl::Status ExecuteSetField(const Statement& statement);
  absl::Status Assign(const std::vector<std::string>& targets, Value value);
  absl::Status Write(absl::string_view text);
  absl::StatusOr<std::string> Capture(const Body& body);

  absl::StatusOr<Value> Evaluate(const Expression& expression);
  absl::StatusOr<Value> EvaluateKind(const Expression& expression);
  absl::StatusOr<Value> EvaluateName(const Expression& expression);
  absl::StatusOr<Value> EvaluateSequence(const Expression& expression);
  absl::StatusOr<Value> EvaluateDict(const Expression& expression);
  absl::StatusOr<Value> EvaluateParts(const Expression& expression);
  absl::StatusOr<Value> EvaluateComparison(const Expression& expression);
  absl::StatusOr<Value> EvaluateConditional(const Expression& expression);
  absl::StatusOr<Arguments> EvaluateArguments(const Expression& expression);
  absl::StatusOr<Value> Call(const Expression& expression);
  absl::StatusOr<Value> CallMacro(const Statement& macro, const Arguments& arguments);
  absl::StatusOr<Value> CallFunction(absl::string_view name, Arguments arguments);
  absl::StatusOr<Value> Range(const Arguments& arguments);

  const Value* Find(absl::string_view name) const;
  absl::Status AtLine(int line, absl::Status status);

  std::vector<Variables> scopes_;  // the first is the template's own
  size_t frame_ = 0;               // where the running macro's scopes begin
  int64_t loop_depth_ = 0;
  int depth_ = 0;
  bool error_has_line_ = false;
  std::string* out_ = nullptr;
  Budget budget_;
};

}  // namespace baton::jinja
