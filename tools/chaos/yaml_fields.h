#pragma once

// Reads one YAML mapping key by key, strictly: what was not asked for is refused. yaml-cpp's own types stay
// in the .cc files that read scenarios.

#include <yaml-cpp/yaml.h>

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace baton::chaos {

// The first thing that is wrong, as "LINE:COLUMN: what", counted from 1.
class Problem {
 public:
  void Add(const YAML::Node& node, const std::string& what);
  bool ok() const { return text_.empty(); }
  absl::Status status() const { return ok() ? absl::OkStatus() : absl::InvalidArgumentError(text_); }

 private:
  std::string text_;
};

// "1.5s", "300ms", "2m", and "never" where that is allowed. False if it is none.
bool ParseSpan(const std::string& text, bool may_be_never, absl::Duration* result);

class Fields {
 public:
  // `where` names the mapping in messages: "cluster". A node that is no mapping is a problem; an undefined or
  // empty one is a mapping without keys.
  Fields(const YAML::Node& node, std::string where, Problem* problem);

  // Each leaves *result as it is where the key is absent, and says whether it is there.
  bool Text(const char* key, std::string* result);
  bool Choice(const char* key, const std::vector<std::string>& allowed, std::string* result);
  bool Flag(const char* key, bool* result);
  bool Number(const char* key, int64_t least, int64_t most, int64_t* result);
  bool Number(const char* key, int least, int most, int* result);
  bool Seed(const char* key, uint64_t* result);
  bool Real(const char* key, double least, double most, double* result);
  bool Span(const char* key, absl::Duration* result, bool may_be_never = false);
  bool Words(const char* key, std::vector<std::string>* result);  // a list, or one text split at spaces
  bool Map(const char* key, std::map<std::string, std::string>* result);

  // The node of a key, undefined where it is absent.
  YAML::Node Node(const char* key);
  // A problem if it is absent.
  void Need(const char* key);
  void Refuse(const char* key, const std::string& what);  // at the key's value
  // Call once all keys were asked for: any other is a problem.
  void Done();

 private:
  bool Scalar(const char* key, std::string* text);

  YAML::Node node_;
  std::string where_;
  Problem* problem_;
  std::vector<std::string> known_;
};

// `base` with `over` put over it: mappings key by key, everything else replaced. Marks of both are kept.
YAML::Node Merge(const YAML::Node& base, const YAML::Node& over);

// A problem where a mapping has a key twice, anywhere below.
void RefuseTwice(const YAML::Node& node, Problem* problem);

}  // namespace baton::chaos
