#include "tools/chaos/yaml_fields.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace baton::chaos {
namespace {

YAML::Mark MarkOf(const YAML::Node& node) {
  if (node.Mark().line < 0 && node.IsMap() && node.size() > 0) return node.begin()->first.Mark();
  return node.Mark();
}

}  // namespace

void Problem::Add(const YAML::Node& node, const std::string& what) {
  if (!ok()) return;
  const YAML::Mark mark = node.IsDefined() ? MarkOf(node) : YAML::Mark::null_mark();
  text_ = absl::StrCat(std::max(mark.line, 0) + 1, ":", std::max(mark.column, 0) + 1, ": ", what);
}

bool ParseSpan(const std::string& text, bool may_be_never, absl::Duration* result) {
  if (text == "never") {
    *result = absl::InfiniteDuration();
    return may_be_never;
  }
  absl::Duration span;
  if (!absl::ParseDuration(text, &span) || span < absl::ZeroDuration() || span > absl::Hours(1000))
    return false;
  *result = span;
  return true;
}

Fields::Fields(const YAML::Node& node, std::string where, Problem* problem)
    : node_(node), where_(std::move(where)), problem_(problem) {
  if (node_.IsDefined() && !node_.IsNull() && !node_.IsMap()) {
    problem_->Add(node_, absl::StrCat(where_, " must be a mapping (key: value)"));
    node_.reset();
  }
}

YAML::Node Fields::Node(const char* key) {
  known_.push_back(key);
  if (!node_.IsDefined() || !node_.IsMap()) return YAML::Node(YAML::NodeType::Undefined);
  const YAML::Node& map = node_;  // the const operator[] adds nothing
  return map[key];
}

bool Fields::Scalar(const char* key, std::string* text) {
  const YAML::Node node = Node(key);
  if (!node.IsDefined()) return false;
  if (!node.IsScalar()) {
    problem_->Add(node, absl::StrCat(where_, ".", key, " must be a single value"));
    return false;
  }
  *text = node.Scalar();
  return true;
}

bool Fields::Text(const char* key, std::string* result) {
  return Scalar(key, result);
}

bool Fields::Choice(const char* key, const std::vector<std::string>& allowed, std::string* result) {
  std::string text;
  if (!Scalar(key, &text)) return false;
  if (std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
    Refuse(key, absl::StrCat("'", text, "' is none of ", absl::StrJoin(allowed, ", ")));
    return false;
  }
  *result = text;
  return true;
}

bool Fields::Flag(const char* key, bool* result) {
  std::string text;
  if (!Scalar(key, &text)) return false;
  if (text != "true" && text != "false") {
    Refuse(key, absl::StrCat("must be true or false, not '", text, "'"));
    return false;
  }
  *result = text == "true";
  return true;
}

bool Fields::Number(const char* key, int64_t least, int64_t most, int64_t* result) {
  std::string text;
  int64_t number = 0;
  if (!Scalar(key, &text)) return false;
  if (!absl::SimpleAtoi(text, &number) || number < least || number > most) {
    Refuse(key, absl::StrCat("must be a whole number from ", least, " to ", most, ", not '", text, "'"));
    return false;
  }
  *result = number;
  return true;
}

bool Fields::Number(const char* key, int least, int most, int* result) {
  int64_t number = 0;
  if (!Number(key, int64_t{least}, int64_t{most}, &number)) return false;
  *result = static_cast<int>(number);
  return true;
}

bool Fields::Seed(const char* key, uint64_t* result) {
  std::string text;
  if (!Scalar(key, &text)) return false;
  if (absl::SimpleAtoi(text, result)) return true;
  Refuse(key, absl::StrCat("must be a whole number from 0 on, not '", text, "'"));
  return false;
}

bool Fields::Real(const char* key, double least, double most, double* result) {
  std::string text;
  double number = 0;
  if (!Scalar(key, &text)) return false;
  if (!absl::SimpleAtod(text, &number) || !(number >= least && number <= most)) {
    Refuse(key, absl::StrFormat("must be a number from %g to %g, not '%s'", least, most, text));
    return false;
  }
  *result = number;
  return true;
}

bool Fields::Span(const char* key, absl::Duration* result, bool may_be_never) {
  std::string text;
  if (!Scalar(key, &text)) return false;
  absl::Duration span;
  if (!ParseSpan(text, may_be_never, &span)) {
    Refuse(key, absl::StrCat("must be a time such as 300ms, 1.5s or 2m", may_be_never ? ", or never" : "",
                             ", not '", text, "'"));
    return false;
  }
  *result = span;
  return true;
}

bool Fields::Words(const char* key, std::vector<std::string>* result) {
  const YAML::Node node = Node(key);
  if (!node.IsDefined()) return false;
  result->clear();
  if (node.IsScalar()) *result = absl::StrSplit(node.Scalar(), ' ', absl::SkipEmpty());
  if (!node.IsScalar() && !node.IsSequence() && !node.IsNull())
    problem_->Add(node, absl::StrCat(where_, ".", key, " must be a list"));
  for (size_t i = 0; node.IsSequence() && i < node.size(); ++i) {
    if (!node[i].IsScalar())
      problem_->Add(node[i], absl::StrCat(where_, ".", key, " must be a list of words"));
    else
      result->push_back(node[i].Scalar());
  }
  return true;
}

bool Fields::Map(const char* key, std::map<std::string, std::string>* result) {
  const YAML::Node node = Node(key);
  if (!node.IsDefined()) return false;
  if (!node.IsMap()) {
    problem_->Add(node, absl::StrCat(where_, ".", key, " must be a mapping (name: value)"));
    return false;
  }
  result->clear();
  for (const auto& entry : node) {
    if (!entry.second.IsScalar())
      problem_->Add(entry.second, "must be a single value");
    else
      (*result)[entry.first.Scalar()] = entry.second.Scalar();
  }
  return true;
}

void Fields::Need(const char* key) {
  const YAML::Node& map = node_;
  if (!map.IsDefined() || !map.IsMap() || !map[key].IsDefined())
    problem_->Add(node_, absl::StrCat(where_, " needs ", key));
}

void Fields::Refuse(const char* key, const std::string& what) {
  const YAML::Node& map = node_;
  const bool there = map.IsDefined() && map.IsMap() && map[key].IsDefined();
  problem_->Add(there ? map[key] : node_, absl::StrCat(where_, ".", key, ": ", what));
}

void Fields::Done() {
  if (!node_.IsDefined() || !node_.IsMap()) return;
  for (const auto& entry : node_) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "?";
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    std::vector<std::string> allowed = known_;
    std::sort(allowed.begin(), allowed.end());
    problem_->Add(entry.first,
                  absl::StrCat(where_, " has no key '", key, "'; it has ", absl::StrJoin(allowed, ", ")));
  }
}

YAML::Node Merge(const YAML::Node& base, const YAML::Node& over) {
  if (!over.IsDefined()) return base;
  if (!base.IsDefined() || !base.IsMap() || !over.IsMap()) return over;
  YAML::Node merged(YAML::NodeType::Map);
  for (const auto& entry : base)
    merged.force_insert(entry.first, Merge(entry.second, over[entry.first.Scalar()]));
  for (const auto& entry : over) {
    if (!base[entry.first.Scalar()].IsDefined()) merged.force_insert(entry.first, entry.second);
  }
  return merged;
}

void RefuseTwice(const YAML::Node& node, Problem* problem) {
  if (node.IsSequence()) {
    for (const auto& item : node) RefuseTwice(item, problem);
  }
  if (!node.IsMap()) return;
  std::set<std::string> seen;
  for (const auto& entry : node) {
    if (entry.first.IsScalar() && !seen.insert(entry.first.Scalar()).second)
      problem->Add(entry.first, absl::StrCat("the key '", entry.first.Scalar(), "' is here twice"));
    RefuseTwice(entry.second, problem);
  }
}

}  // namespace baton::chaos
