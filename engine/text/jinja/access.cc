// The part of operators.h that reaches inside values: items, attributes, slices.

#include <algorithm>
#include <array>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine/text/jinja/operators.h"
#include "engine/text/jinja/python_text.h"
#include "engine/text/jinja/signatures.h"

namespace baton::jinja {
namespace {

// What Python finds on a dict before, or instead of, its items.
constexpr std::array<absl::string_view, 11> kDictMethods = {
    "clear", "copy", "fromkeys", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"};

bool IsDictMethod(absl::string_view name) {
  return std::find(kDictMethods.begin(), kDictMethods.end(), name) != kDictMethods.end();
}

absl::Status UncalledMethod(absl::string_view name) {
  return absl::UnimplementedError(absl::StrCat("method '", name, "' without a call is not supported"));
}

absl::Status UndefinedError(const Value& value) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", std::get<Undefined>(value.held).name, "' is undefined"));
}

Value LoopAttribute(const Loop& loop, absl::string_view name) {
  const auto length = static_cast<int64_t>(loop.items->items.size());
  if (name == "index") return Value{loop.index0 + 1};
  if (name == "index0") return Value{loop.index0};
  if (name == "revindex") return Value{length - loop.index0};
  if (name == "revindex0") return Value{length - loop.index0 - 1};
  if (name == "first") return Value{loop.index0 == 0};
  if (name == "last") return Value{loop.index0 == length - 1};
  if (name == "length") return Value{length};
  if (name == "depth") return Value{loop.depth0 + 1};
  if (name == "depth0") return Value{loop.depth0};
  if (name == "previtem" && loop.index0 > 0) return loop.items->items[static_cast<size_t>(loop.index0) - 1];
  if (name == "nextitem" && loop.index0 < length - 1)
    return loop.items->items[static_cast<size_t>(loop.index0) + 1];
  return Value::Missing(absl::StrCat("loop.", name));
}

Value FindOrMissing(const Value* found, absl::string_view name) {
  return found != nullptr ? *found : Value::Missing(name);
}

template <typename Items>
Value At(const Items& items, int64_t index) {
  const auto size = static_cast<int64_t>(items.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) return Value::Missing(absl::StrCat("item ", index));
  if constexpr (std::is_same_v<Items, std::vector<Value>>) {
    return items[static_cast<size_t>(index)];
  } else {
    return Value::String(std::string(items[static_cast<size_t>(index)]));
  }
}

// Python's slice.indices.
struct Bounds {
  int64_t start;
  int64_t stop;
  int64_t step;
};

absl::StatusOr<int64_t> Part(const Value& value, int64_t otherwise) {
  if (value.IsNone()) return otherwise;
  if (!value.IsInteger())
    return absl::InvalidArgumentError(absl::StrCat("a slice needs integers, not a ", TypeName(value)));
  return value.Integer();
}

absl::StatusOr<Bounds> SliceBounds(const Value& start, const Value& stop, const Value& step, int64_t size) {
  Bounds bounds{};
  BATON_ASSIGN_OR_RETURN(bounds.step, Part(step, 1));
  if (bounds.step == 0) return absl::InvalidArgumentError("a slice's step cannot be zero");
  bounds.step = std::clamp<int64_t>(bounds.step, -size - 1, size + 1);
  const bool forward = bounds.step > 0;
  const int64_t lowest = forward ? 0 : -1;
  const int64_t highest = forward ? size : size - 1;
  const auto place = [&](int64_t at) {
    if (at < 0) at = std::max(at, -size - 1) + size;
    return std::clamp(at, lowest, highest);
  };
  BATON_ASSIGN_OR_RETURN(bounds.start, Part(start, forward ? 0 : size - 1));
  BATON_ASSIGN_OR_RETURN(bounds.stop, Part(stop, forward ? size : -size - 1));
  bounds.start = place(bounds.start);
  bounds.stop = place(bounds.stop);
  return bounds;
}

template <typename Items, typename Take>
void TakeSlice(const Items& items, const Bounds& bounds, const Take& take) {
  for (int64_t i = bounds.start; bounds.step > 0 ? i < bounds.stop : i > bounds.stop; i += bounds.step) {
    take(items[static_cast<size_t>(i)]);
  }
}

}  // namespace

absl::StatusOr<Value> GetAttribute(const Value& value, absl::string_view name) {
  if (value.IsUndefined()) return UndefinedError(value);
  if (const Loop* loop = value.AsLoop()) return LoopAttribute(*loop, name);
  if (const Namespace* space = value.AsNamespace()) {
    for (const auto& [key, held] : space->items) {
      if (key == name) return held;
    }
    return Value::Missing(name);
  }
  if (const Dict* dict = value.AsDict()) {
    if (IsDictMethod(name)) return UncalledMethod(name);
    return FindOrMissing(dict->Find(name), name);
  }
  if (value.AsText() != nullptr && FindMethod(name) != nullptr) return UncalledMethod(name);
  return Value::Missing(name);
}

absl::StatusOr<Value> GetItem(const Value& value, const Value& index) {
  if (value.IsUndefined()) return UndefinedError(value);
  if (const std::string* key = index.AsText()) {
    const Dict* dict = value.AsDict();
    if (const Value* found = dict == nullptr ? nullptr : dict->Find(*key)) return *found;
    return GetAttribute(value, *key);
  }
  const List* list = value.AsList();
  if (list != nullptr && list->kind != ListKind::kGenerator && index.IsInteger())
    return At(list->items, index.Integer());
  const std::string* text = value.AsText();
  if (text != nullptr && index.IsInteger()) return At(Characters(*text), index.Integer());
  return Value::Missing(absl::StrCat("item ", ToRepr(index)));
}

absl::StatusOr<Value> Slice(const Value& value, const Value& start, const Value& stop, const Value& step,
                            Budget& budget) {
  if (value.IsUndefined()) return UndefinedError(value);
  if (const std::string* text = value.AsText()) {
    BATON_RETURN_IF_ERROR(budget.SpendBytes(text->size()));
    const std::vector<absl::string_view> characters = Characters(*text);
    BATON_ASSIGN_OR_RETURN(const Bounds bounds,
                           SliceBounds(start, stop, step, static_cast<int64_t>(characters.size())));
    std::string out;
    TakeSlice(characters, bounds, [&](absl::string_view c) { out.append(c.data(), c.size()); });
    return Value::String(std::move(out));
  }
  const List* list = value.AsList();
  if (list == nullptr || list->kind == ListKind::kGenerator) {
    return absl::InvalidArgumentError(absl::StrCat("a ", TypeName(value), " has no slices"));
  }
  BATON_RETURN_IF_ERROR(budget.Spend(list->items.size()));
  BATON_ASSIGN_OR_RETURN(const Bounds bounds,
                         SliceBounds(start, stop, step, static_cast<int64_t>(list->items.size())));
  std::vector<Value> items;
  TakeSlice(list->items, bounds, [&](const Value& item) { items.push_back(item); });
  return MakeList(std::move(items), list->kind);
}

}  // namespace baton::jinja
