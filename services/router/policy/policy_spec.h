#pragma once

// A policy as text: a name, and parameters in parentheses that all have defaults:
// "cache_aware(threshold=0.5,abs=32,rel=1.1)", "round_robin".

#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace baton::router {

struct PolicySpec {
  std::string name;
  std::map<std::string, std::string> parameters;
};

// InvalidArgument, saying where, unless the text is of that form: names of a-z, 0-9 and _; no parameter
// twice.
absl::StatusOr<PolicySpec> ParsePolicySpec(absl::string_view text);

// Reads the parameters of one policy; what is not asked for is an error. Used once.
class PolicyParameters {
 public:
  explicit PolicyParameters(const PolicySpec& spec) : spec_(spec), left_(spec.parameters) {}
  // A number from `least` to `most`.
  void Number(absl::string_view name, double least, double most, double* value);
  // One of `names`, by its place.
  void Choice(absl::string_view name, std::initializer_list<absl::string_view> names, int* value);
  // InvalidArgument naming the first thing wrong and what there is.
  absl::Status Finish() const;
  // All parameters with their values, as the text that ParsePolicySpec reads.
  std::string Describe() const;

 private:
  void Known(absl::string_view name, std::string value);
  const PolicySpec& spec_;
  std::map<std::string, std::string> left_;
  std::vector<std::pair<std::string, std::string>> known_;
  std::string wrong_;
};

}  // namespace baton::router
