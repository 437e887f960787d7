#include "engine/text/jinja/interpreter.h"

#include <algorithm>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine/text/jinja/operators.h"

namespace baton::jinja {

Interpreter::Interpreter(Variables globals) {
  scopes_.push_back(std::move(globals));
}

absl::StatusOr<std::string> Interpreter::Run(const Body& body) {
  return Capture(body);
}

absl::StatusOr<std::string> Interpreter::Capture(const Body& body) {
  std::string captured;
  std::string* const outer = std::exchange(out_, &captured);
  const absl::Status status = Execute(body).status();
  out_ = outer;
  BATON_RETURN_IF_ERROR(status);
  return captured;
}

absl::Status Interpreter::Write(absl::string_view text) {
  BATON_RETURN_IF_ERROR(budget_.SpendBytes(text.size()));
  if (out_->size() + text.size() > kMaxBytes) {
    return absl::ResourceExhaustedError("the template writes too much text");
  }
  out_->append(text.data(), text.size());
  return absl::OkStatus();
}

absl::Status Interpreter::AtLine(int line, absl::Status status) {
  if (error_has_line_ || status.ok()) return status;
  error_has_line_ = true;
  return absl::Status(status.code(), absl::StrCat("line ", line, ": ", status.message()));
}

const Value* Interpreter::Find(absl::string_view name) const {
  const auto in = [&](const Variables& scope) -> const Value* {
    for (const auto& [key, value] : scope) {
      if (key == name) return &value;
    }
    return nullptr;
  };
  for (size_t i = scopes_.size(); i > frame_; --i) {
    if (const Value* found = in(scopes_[i - 1])) return found;
  }
  return frame_ == 0 ? nullptr : in(scopes_[0]);
}

absl::Status Interpreter::Assign(const std::vector<std::string>& targets, Value value) {
  Variables& scope = scopes_.back();
  const auto set = [&](const std::string& name, Value held) {
    const auto old =
        std::find_if(scope.begin(), scope.end(), [&](const auto& each) { return each.first == name; });
    if (old != scope.end()) {
      old->second = std::move(held);
    } else {
      scope.emplace_back(name, std::move(held));
    }
  };
  if (targets.size() == 1) {
    set(targets[0], std::move(value));
    return absl::OkStatus();
  }
  BATON_ASSIGN_OR_RETURN(std::vector<Value> items, Iterate(value, budget_));
  if (items.size() != targets.size()) {
    return absl::InvalidArgumentError(absl::StrCat(items.size(), " values for ", targets.size(), " names"));
  }
  for (size_t i = 0; i < targets.size(); ++i) set(targets[i], std::move(items[i]));
  return absl::OkStatus();
}

absl::StatusOr<Interpreter::Flow> Interpreter::Execute(const Body& body) {
  for (const StatementPtr& statement : body) {
    BATON_RETURN_IF_ERROR(AtLine(statement->line, budget_.Spend(1)));
    auto flow = Execute(*statement);
    if (!flow.ok()) return AtLine(statement->line, flow.status());
    if (*flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Execute(const Statement& statement) {
  switch (statement.kind) {
    case StatementKind::kText:
      BATON_RETURN_IF_ERROR(Write(statement.text));
      return Flow::kNext;
    case StatementKind::kPrint: {
      BATON_ASSIGN_OR_RETURN(const Value value, Evaluate(*statement.expressions[0]));
      BATON_RETURN_IF_ERROR(Write(ToText(value)));
      return Flow::kNext;
    }
    case StatementKind::kIf:
      return ExecuteIf(statement);
    case StatementKind::kFor:
      return ExecuteFor(statement);
    case StatementKind::kSet:
      BATON_RETURN_IF_ERROR(ExecuteSet(statement));
      return Flow::kNext;
    case StatementKind::kSetField:
      BATON_RETURN_IF_ERROR(ExecuteSetField(statement));
      return Flow::kNext;
    case StatementKind::kMacro:
      BATON_RETURN_IF_ERROR(Assign({statement.text}, Value{&statement}));
      return Flow::kNext;
    case StatementKind::kGroup:
      return Execute(statement.bodies[0]);
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::ExecuteIf(const Statement& statement) {
  for (size_t i = 0; i < statement.expressions.size(); ++i) {
    BATON_ASSIGN_OR_RETURN(const Value condition, Evaluate(*statement.expressions[i]));
    if (Truthy(condition)) return Execute(statement.bodies[i]);
  }
  if (statement.bodies.size() > statement.expressions.size()) return Execute(statement.bodies.back());
  return Flow::kNext;
}

absl::StatusOr<std::vector<Value>> Interpreter::LoopItems(const Statement& statement) {
  BATON_ASSIGN_OR_RETURN(const Value over, Evaluate(*statement.expressions[0]));
  BATON_ASSIGN_OR_RETURN(std::vector<Value> items, Iterate(over, budget_));
  if (statement.expressions.size() == 1) return items;
  std::vector<Value> kept;
  for (Value& item : items) {
    scopes_.emplace_back();
    absl::Status assigned = Assign(statement.targets, item);
    absl::StatusOr<Value> condition = assigned.ok() ? Evaluate(*statement.expressions[1]) : assigned;
    scopes_.pop_back();
    BATON_RETURN_IF_ERROR(condition.status());
    if (Truthy(*condition)) kept.push_back(std::move(item));
  }
  return kept;
}

absl::StatusOr<Interpreter::Flow> Interpreter::ExecuteFor(const Statement& statement) {
  BATON_ASSIGN_OR_RETURN(std::vector<Value> items, LoopItems(statement));
  if (items.empty()) return statement.bodies.size() > 1 ? Execute(statement.bodies[1]) : Flow::kNext;
  const auto shared = std::make_shared<const List>(List{std::move(items)});
  absl::Status status;
  ++loop_depth_;
  for (size_t i = 0; i < shared->items.size() && status.ok(); ++i) {
    scopes_.emplace_back();
    const Loop loop{shared, static_cast<int64_t>(i), loop_depth_ - 1};
    scopes_.back().emplace_back("loop", Value{std::make_shared<const Loop>(loop)});
    status = Assign(statement.targets, shared->items[i]);
    Flow flow = Flow::kNext;
    if (status.ok()) {
      auto ran = Execute(statement.bodies[0]);
      status = ran.status();
      if (ran.ok()) flow = *ran;
    }
    scopes_.pop_back();
    if (flow == Flow::kBreak) break;
  }
  --loop_depth_;
  BATON_RETURN_IF_ERROR(status);
  return Flow::kNext;
}

absl::Status Interpreter::ExecuteSet(const Statement& statement) {
  if (!statement.expressions.empty()) {
    BATON_ASSIGN_OR_RETURN(Value value, Evaluate(*statement.expressions[0]));
    return Assign(statement.targets, std::move(value));
  }
  scopes_.emplace_back();
  auto captured = Capture(statement.bodies[0]);
  scopes_.pop_back();
  BATON_RETURN_IF_ERROR(captured.status());
  return Assign(statement.targets, Value::String(*std::move(captured)));
}

absl::Status Interpreter::ExecuteSetField(const Statement& statement) {
  const Value* found = Find(statement.targets[0]);
  if (found == nullptr || found->AsNamespace() == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("'", statement.targets[0], "' is not a namespace"));
  }
  const Value space = *found;
  BATON_ASSIGN_OR_RETURN(Value value, Evaluate(*statement.expressions[0]));
  if (value.AsNamespace() != nullptr || value.AsLoop() != nullptr ||
      std::holds_alternative<Value::Macro>(value.held)) {
    return absl::UnimplementedError(
        absl::StrCat("a ", TypeName(value), " inside a namespace is not supported"));
  }
  auto& items = space.AsNamespace()->items;
  const auto same = [&](const auto& item) { return item.first == statement.text; };
  const auto old = std::find_if(items.begin(), items.end(), same);
  if (old != items.end()) {
    old->second = std::move(value);
  } else {
    items.emplace_back(statement.text, std::move(value));
  }
  return absl::OkStatus();
}

}  // namespace baton::jinja
