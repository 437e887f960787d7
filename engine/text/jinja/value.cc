#include "engine/text/jinja/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"

namespace baton::jinja {
namespace {

template <typename T>
const T* Pointee(const Value& value) {
  const auto* held = std::get_if<std::shared_ptr<T>>(&value.held);
  return held == nullptr ? nullptr : held->get();
}

struct Bulk {
  int depth = 1;
  size_t weight = 1;

  absl::Status Add(const Value& item) {
    if (item.AsNamespace() != nullptr || item.AsLoop() != nullptr ||
        std::holds_alternative<Value::Macro>(item.held)) {
      return absl::UnimplementedError(
          absl::StrCat("a ", TypeName(item), " inside a list or dictionary is not supported"));
    }
    weight += Weight(item);
    if (const List* list = item.AsList()) depth = std::max(depth, list->depth + 1);
    if (const Dict* dict = item.AsDict()) depth = std::max(depth, dict->depth + 1);
    if (depth > kMaxValueDepth) return absl::ResourceExhaustedError("lists or dictionaries nest too deeply");
    if (weight > kMaxValueWeight) return absl::ResourceExhaustedError("a list or dictionary grows too large");
    return absl::OkStatus();
  }
};

std::string ReprText(const std::string& text) {
  const bool use_double = text.find('\'') != std::string::npos && text.find('"') == std::string::npos;
  const char quote = use_double ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<uint8_t>(c));
    } else {
      out.push_back(c);
    }
  }
  out.push_back(quote);
  return out;
}

template <typename Items>
bool SameDict(const Items& a, const Dict& b) {
  if (a.size() != b.items.size()) return false;
  return std::all_of(a.begin(), a.end(), [&](const auto& item) {
    const Value* other = b.Find(item.first);
    return other != nullptr && Equal(item.second, *other);
  });
}

}  // namespace

const Value* Dict::Find(absl::string_view key) const {
  for (const auto& [name, value] : items) {
    if (name == key) return &value;
  }
  return nullptr;
}

const std::string* Value::AsText() const {
  return Pointee<const std::string>(*this);
}
const List* Value::AsList() const {
  return Pointee<const List>(*this);
}
const Dict* Value::AsDict() const {
  return Pointee<const Dict>(*this);
}
const Loop* Value::AsLoop() const {
  return Pointee<const Loop>(*this);
}
Namespace* Value::AsNamespace() const {
  const auto* pointer = std::get_if<NamespacePtr>(&held);
  return pointer == nullptr ? nullptr : pointer->get();
}

int64_t Value::Integer() const {
  if (const bool* flag = std::get_if<bool>(&held)) return *flag ? 1 : 0;
  const int64_t* number = std::get_if<int64_t>(&held);
  return number == nullptr ? 0 : *number;
}

double Value::Number() const {
  const double* number = std::get_if<double>(&held);
  return number == nullptr ? static_cast<double>(Integer()) : *number;
}

size_t Weight(const Value& value) {
  if (const std::string* text = value.AsText()) return text->size() + 1;
  if (const List* list = value.AsList()) return list->weight;
  if (const Dict* dict = value.AsDict()) return dict->weight;
  return 1;
}

absl::StatusOr<Value> MakeList(std::vector<Value> items, ListKind kind) {
  Bulk bulk;
  for (const Value& item : items) BATON_RETURN_IF_ERROR(bulk.Add(item));
  return Value{std::make_shared<const List>(List{std::move(items), kind, bulk.depth, bulk.weight})};
}

absl::StatusOr<Value> MakeDict(std::vector<std::pair<std::string, Value>> items) {
  Dict dict;
  Bulk bulk;
  for (auto& [key, value] : items) {
    bulk.weight += key.size();
    BATON_RETURN_IF_ERROR(bulk.Add(value));
    const auto same = [&name = key](const auto& item) { return item.first == name; };
    const auto old = std::find_if(dict.items.begin(), dict.items.end(), same);
    if (old != dict.items.end()) {
      old->second = std::move(value);
    } else {
      dict.items.emplace_back(std::move(key), std::move(value));
    }
  }
  dict.depth = bulk.depth;
  dict.weight = bulk.weight;
  return Value{std::make_shared<const Dict>(std::move(dict))};
}

bool Truthy(const Value& value) {
  if (value.IsUndefined() || value.IsNone()) return false;
  if (value.IsNumber()) return value.Number() != 0;
  if (const std::string* text = value.AsText()) return !text->empty();
  if (const List* list = value.AsList()) return list->kind == ListKind::kGenerator || !list->items.empty();
  if (const Dict* dict = value.AsDict()) return !dict->items.empty();
  return true;
}

bool Equal(const Value& a, const Value& b) {
  if (a.IsNumber() && b.IsNumber()) {
    return a.IsInteger() && b.IsInteger() ? a.Integer() == b.Integer() : a.Number() == b.Number();
  }
  if (a.held.index() != b.held.index()) return false;
  if (a.IsUndefined() || a.IsNone()) return true;
  if (a.AsText() != nullptr) return *a.AsText() == *b.AsText();
  if (const Dict* dict = a.AsDict()) return SameDict(dict->items, *b.AsDict());
  if (const List* list = a.AsList()) {
    const List& other = *b.AsList();
    return list->kind == other.kind &&
           std::equal(list->items.begin(), list->items.end(), other.items.begin(), other.items.end(), Equal);
  }
  return a.AsNamespace() == b.AsNamespace() && a.AsLoop() == b.AsLoop();
}

absl::string_view TypeName(const Value& value) {
  constexpr absl::string_view kNames[] = {
      "undefined value", "None", "bool", "int", "float", "str", "list", "dict", "namespace", "loop", "macro"};
  return kNames[value.held.index()];
}

std::string FloatText(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  char buffer[400];
  const double size = std::fabs(number);
  const bool exponent = size != 0 && (size < 1e-4 || size >= 1e16);
  const auto format = exponent ? std::chars_format::scientific : std::chars_format::fixed;
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), number, format);
  std::string text(buffer, end.ptr);
  if (!exponent && text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::string ToRepr(const Value& value) {
  if (const std::string* text = value.AsText()) return ReprText(*text);
  if (value.IsUndefined()) return "Undefined";
  return ToText(value);
}

std::string ToText(const Value& value) {
  if (const std::string* text = value.AsText()) return *text;
  if (value.IsUndefined()) return "";
  if (value.IsNone()) return "None";
  if (const bool* flag = std::get_if<bool>(&value.held)) return *flag ? "True" : "False";
  if (value.IsInteger()) return absl::StrCat(value.Integer());
  if (value.IsNumber()) return FloatText(value.Number());
  std::string out;
  if (const List* list = value.AsList()) {
    for (const Value& item : list->items) absl::StrAppend(&out, out.empty() ? "" : ", ", ToRepr(item));
    if (list->kind != ListKind::kTuple) return absl::StrCat("[", out, "]");
    return absl::StrCat("(", out, list->items.size() == 1 ? ",)" : ")");
  }
  if (const Dict* dict = value.AsDict()) {
    for (const auto& [key, item] : dict->items) {
      absl::StrAppend(&out, out.empty() ? "" : ", ", ReprText(key), ": ", ToRepr(item));
    }
    return absl::StrCat("{", out, "}");
  }
  return absl::StrCat("<", TypeName(value), ">");
}

}  // namespace baton::jinja
