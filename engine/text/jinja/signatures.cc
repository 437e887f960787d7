#include "engine/text/jinja/signatures.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace baton::jinja {
namespace {

const Signature* Find(const std::vector<Signature>& all, absl::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Signature& s) { return s.name == name; });
  return found == all.end() ? nullptr : &*found;
}

size_t IndexOf(const Signature& signature, absl::string_view parameter) {
  const auto& all = signature.parameters;
  return static_cast<size_t>(std::find(all.begin(), all.end(), parameter) - all.begin());
}

}  // namespace

const Signature* FindFilter(absl::string_view name) {
  static const auto& all = *new std::vector<Signature>{
      {"abs", {}},
      {"capitalize", {}},
      {"count", {}},
      {"d", {"default_value", "boolean"}},
      {"default", {"default_value", "boolean"}},
      {"first", {}},
      {"float", {"default"}},
      {"int", {"default"}},
      {"items", {}},
      {"join", {"d", "attribute"}},
      {"last", {}},
      {"length", {}},
      {"list", {}},
      {"lower", {}},
      {"map", {"filter", "attribute"}},
      {"reject", {"test", "argument"}},
      {"rejectattr", {"attribute", "test", "argument"}, 1},
      {"replace", {"old", "new", "count"}, 2},
      {"reverse", {}},
      {"safe", {}},
      {"select", {"test", "argument"}},
      {"selectattr", {"attribute", "test", "argument"}, 1},
      {"string", {}},
      {"title", {}},
      {"tojson", {"ensure_ascii", "indent"}},
      {"trim", {"chars"}},
      {"upper", {}},
  };
  return Find(all, name);
}

const Signature* FindTest(absl::string_view name) {
  static const auto& all = *new std::vector<Signature>{
      {"boolean", {}},
      {"defined", {}},
      {"divisibleby", {"num"}, 1},
      {"eq", {"other"}, 1},
      {"equalto", {"other"}, 1},
      {"even", {}},
      {"false", {}},
      {"float", {}},
      {"in", {"seq"}, 1},
      {"integer", {}},
      {"iterable", {}},
      {"mapping", {}},
      {"ne", {"other"}, 1},
      {"none", {}},
      {"number", {}},
      {"odd", {}},
      {"sequence", {}},
      {"string", {}},
      {"true", {}},
      {"undefined", {}},
  };
  return Find(all, name);
}

const Signature* FindMethod(absl::string_view name) {
  static const auto& all = *new std::vector<Signature>{
      {"capitalize", {}},
      {"endswith", {"suffix"}, 1},
      {"find", {"sub"}, 1},
      {"get", {"key", "default"}, 1},
      {"items", {}},
      {"join", {"iterable"}, 1},
      {"keys", {}},
      {"lower", {}},
      {"lstrip", {"chars"}},
      {"replace", {"old", "new", "count"}, 2},
      {"rstrip", {"chars"}},
      {"split", {"sep", "maxsplit"}},
      {"startswith", {"prefix"}, 1},
      {"strip", {"chars"}},
      {"title", {}},
      {"upper", {}},
      {"values", {}},
  };
  return Find(all, name);
}

const Signature* FindFunction(absl::string_view name) {
  static const auto& all = *new std::vector<Signature>{
      {"dict", {}, 0, true},
      {"namespace", {}, 0, true},
      {"raise_exception", {"message"}, 1},
      {"range", {"start", "stop", "step"}, 1},
      {"strftime_now", {"format"}, 1},
  };
  return Find(all, name);
}

absl::Status CheckArguments(const Signature& signature, size_t positional,
                            absl::Span<const std::string> named) {
  if (positional > signature.parameters.size()) {
    return absl::UnimplementedError(
        absl::StrCat("'", signature.name, "' with ", positional, " arguments is not supported"));
  }
  std::vector<bool> given(signature.parameters.size(), false);
  std::fill_n(given.begin(), positional, true);
  if (!signature.any_named) {
    for (const std::string& name : named) {
      const size_t index = IndexOf(signature, name);
      if (index == given.size() || given[index]) {
        return absl::UnimplementedError(
            absl::StrCat("'", signature.name, "' with argument '", name, "' is not supported"));
      }
      given[index] = true;
    }
  }
  for (size_t i = 0; i < signature.required; ++i) {
    if (!given[i]) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", signature.name, "' lacks argument '", signature.parameters[i], "'"));
    }
  }
  return absl::OkStatus();
}

std::vector<std::optional<Value>> Bind(const Signature& signature, const Arguments& arguments) {
  std::vector<std::optional<Value>> bound(signature.parameters.size());
  std::copy(arguments.positional.begin(), arguments.positional.end(), bound.begin());
  for (const auto& [name, value] : arguments.named) {
    const size_t index = IndexOf(signature, name);
    if (index < bound.size()) bound[index] = value;
  }
  return bound;
}

}  // namespace baton::jinja
