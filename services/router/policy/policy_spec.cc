#include "services/router/policy/policy_spec.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace baton::router {
namespace {

constexpr size_t kLongestText = 1000;

absl::Status Wrong(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("policy '", text, "': ", why));
}

bool IsName(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
  });
}

}  // namespace

absl::StatusOr<PolicySpec> ParsePolicySpec(absl::string_view text) {
  if (text.size() > kLongestText) return absl::InvalidArgumentError("policy: the text is too long");
  const absl::string_view whole = absl::StripAsciiWhitespace(text);
  const size_t open = whole.find('(');
  PolicySpec spec{.name = std::string(absl::StripAsciiWhitespace(whole.substr(0, open)))};
  if (!IsName(spec.name)) return Wrong(whole, "begins with no name of a-z, 0-9 and _");
  if (open == absl::string_view::npos) return spec;
  absl::string_view inner = whole.substr(open + 1);
  if (!absl::ConsumeSuffix(&inner, ")")) return Wrong(whole, "')' is missing at the end");
  if (absl::StripAsciiWhitespace(inner).empty()) return spec;
  for (const absl::string_view part : absl::StrSplit(inner, ',')) {
    const std::vector<absl::string_view> pair = absl::StrSplit(part, absl::MaxSplits('=', 1));
    if (pair.size() != 2) return Wrong(whole, absl::StrCat("'", part, "' is not name=value"));
    const std::string name(absl::StripAsciiWhitespace(pair[0]));
    const std::string value(absl::StripAsciiWhitespace(pair[1]));
    if (!IsName(name) || value.empty()) return Wrong(whole, absl::StrCat("'", part, "' is not name=value"));
    if (!spec.parameters.emplace(name, value).second)
      return Wrong(whole, absl::StrCat("'", name, "' is there twice"));
  }
  return spec;
}

void PolicyParameters::Known(absl::string_view name, std::string value) {
  known_.emplace_back(name, std::move(value));
  left_.erase(std::string(name));
}

void PolicyParameters::Number(absl::string_view name, double least, double most, double* value) {
  if (const auto it = left_.find(std::string(name)); it != left_.end()) {
    double read = 0;
    if (!absl::SimpleAtod(it->second, &read) || !std::isfinite(read) || read < least || read > most) {
      if (wrong_.empty()) {
        wrong_ = absl::StrCat(name, " is '", it->second, "', not a number from ", least, " to ", most);
      }
    } else {
      *value = read;
    }
  }
  Known(name, absl::StrCat(*value));
}

void PolicyParameters::Choice(absl::string_view name, std::initializer_list<absl::string_view> names,
                              int* value) {
  if (const auto it = left_.find(std::string(name)); it != left_.end()) {
    const auto chosen = std::find(names.begin(), names.end(), it->second);
    if (chosen == names.end()) {
      if (wrong_.empty())
        wrong_ = absl::StrCat(name, " is '", it->second, "', not one of ", absl::StrJoin(names, ", "));
    } else {
      *value = static_cast<int>(chosen - names.begin());
    }
  }
  Known(name, std::string(names.begin()[*value]));
}

absl::Status PolicyParameters::Finish() const {
  if (!wrong_.empty()) return absl::InvalidArgumentError(absl::StrCat("policy ", spec_.name, ": ", wrong_));
  if (left_.empty()) return absl::OkStatus();
  const auto first = [](std::string* out, const auto& pair) { out->append(pair.first); };
  return absl::InvalidArgumentError(
      absl::StrCat("policy ", spec_.name, " has no parameter '", left_.begin()->first, "'; it has ",
                   known_.empty() ? "none" : absl::StrJoin(known_, ", ", first)));
}

std::string PolicyParameters::Describe() const {
  if (known_.empty()) return spec_.name;
  return absl::StrCat(spec_.name, "(", absl::StrJoin(known_, ",", absl::PairFormatter("=")), ")");
}

}  // namespace baton::router
