#include "tests/sim/coverage.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace baton::sim {

uint64_t Coverage::count(absl::string_view what) const {
  const auto it = hits_.find(what);
  return it == hits_.end() ? 0 : it->second;
}

void Coverage::Merge(const Coverage& other) {
  for (const auto& [what, times] : other.hits_) hits_[what] += times;
}

std::vector<std::string> Coverage::Missing(const std::vector<std::string>& required) const {
  std::vector<std::string> missing;
  for (const std::string& what : required) {
    if (count(what) == 0) missing.push_back(what);
  }
  return missing;
}

std::string Coverage::Table() const {
  std::vector<std::string> names;
  names.reserve(hits_.size());
  for (const auto& [what, times] : hits_) names.push_back(what);
  std::sort(names.begin(), names.end());
  std::string table;
  for (const std::string& name : names) absl::StrAppendFormat(&table, "  %-52s %12d\n", name, count(name));
  return table;
}

}  // namespace baton::sim
