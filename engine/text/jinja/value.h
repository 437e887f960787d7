#pragma once

// The values of a template, with Python's meaning where templates rely on it. Strings, lists and dictionaries
// are immutable and shared; only a namespace changes. Nesting is bounded and no container can hold a
// namespace, so destruction neither recurses deeply nor leaks a cycle.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace baton::jinja {

struct Value;
struct Statement;

struct Undefined {
  std::string name;  // what was looked up, for messages
};
struct None {};

// A generator stands for what Python's filters yield: iterable, always true, without length.
enum class ListKind { kList, kTuple, kGenerator };

struct List {
  std::vector<Value> items;
  ListKind kind = ListKind::kList;
  int depth = 1;
  size_t weight = 1;
};

// Keeps the order of insertion, as Python does. Keys are strings.
struct Dict {
  std::vector<std::pair<std::string, Value>> items;
  int depth = 1;
  size_t weight = 1;
  const Value* Find(absl::string_view key) const;
};

struct Namespace {
  std::vector<std::pair<std::string, Value>> items;
};

// The `loop` variable at one turn.
struct Loop {
  std::shared_ptr<const List> items;
  int64_t index0 = 0;
  int64_t depth0 = 0;
};

struct Value {
  using Text = std::shared_ptr<const std::string>;
  using ListPtr = std::shared_ptr<const List>;
  using DictPtr = std::shared_ptr<const Dict>;
  using NamespacePtr = std::shared_ptr<Namespace>;
  using LoopPtr = std::shared_ptr<const Loop>;
  using Macro = const Statement*;
  std::variant<Undefined, None, bool, int64_t, double, Text, ListPtr, DictPtr, NamespacePtr, LoopPtr, Macro>
      held;

  static Value String(std::string text) { return {std::make_shared<const std::string>(std::move(text))}; }
  static Value Missing(absl::string_view name) { return {Undefined{std::string(name)}}; }

  bool IsUndefined() const { return std::holds_alternative<Undefined>(held); }
  bool IsNone() const { return std::holds_alternative<None>(held); }
  bool IsNumber() const { return IsInteger() || std::holds_alternative<double>(held); }
  bool IsInteger() const {
    return std::holds_alternative<bool>(held) || std::holds_alternative<int64_t>(held);
  }
  const std::string* AsText() const;  // nullptr if it is not a string, and so below
  const List* AsList() const;
  const Dict* AsDict() const;
  Namespace* AsNamespace() const;
  const Loop* AsLoop() const;
  int64_t Integer() const;  // of a boolean or an integer
  double Number() const;    // of any number
};

inline constexpr int kMaxValueDepth = 64;
inline constexpr size_t kMaxValueWeight = 16 << 20;

// About the bytes that it takes to write the value out, shared parts counted as often as they occur.
size_t Weight(const Value& value);

// ResourceExhausted if nested too deeply or too heavy; Unimplemented for a namespace, loop or macro inside a
// container.
absl::StatusOr<Value> MakeList(std::vector<Value> items, ListKind kind = ListKind::kList);
absl::StatusOr<Value> MakeDict(std::vector<std::pair<std::string, Value>> items);

bool Truthy(const Value& value);
bool Equal(const Value& a, const Value& b);
absl::string_view TypeName(const Value& value);  // Python's name for it
std::string ToText(const Value& value);          // Python's str()
std::string ToRepr(const Value& value);          // Python's repr()
std::string FloatText(double number);            // Python's repr of a float
// json.dumps(value, ensure_ascii=False, indent=indent); indent < 0: on one line. InvalidArgument for what
// JSON cannot hold.
absl::StatusOr<std::string> ToJson(const Value& value, int indent);

}  // namespace baton::jinja
