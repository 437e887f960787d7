#pragma once

// Command lines of the form `--name value`, `--name=value`, `--switch`, positional words, and `--` before
// what is passed on.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace baton::ctl {

class Arguments {
 public:
  // `valued` and `switches` are the names without dashes. INVALID_ARGUMENT names the word that does not fit.
  static absl::StatusOr<Arguments> Parse(absl::Span<const std::string> words,
                                         const std::set<std::string>& valued,
                                         const std::set<std::string>& switches);

  bool Has(const std::string& name) const { return values_.count(name) > 0; }
  std::string Text(const std::string& name, const std::string& otherwise) const;
  // INVALID_ARGUMENT if present but not a whole number in [least, most].
  absl::StatusOr<int> Number(const std::string& name, int otherwise, int least, int most) const;
  absl::StatusOr<std::optional<double>> Real(const std::string& name) const;

  const std::vector<std::string>& positional() const { return positional_; }
  const std::vector<std::string>& passed_on() const { return passed_on_; }

 private:
  std::map<std::string, std::string> values_;
  std::vector<std::string> positional_;
  std::vector<std::string> passed_on_;
};

}  // namespace baton::ctl
