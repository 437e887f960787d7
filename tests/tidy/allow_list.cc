#include "tests/tidy/allow_list.h"

#include <sstream>

namespace baton::tidy {

AllowList AllowList::Parse(const std::string& path, const std::string& text) {
  AllowList list;
  list.path_ = path;
  std::istringstream stream(text);
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    Entry entry;
    std::string reason;
    words >> entry.rule >> entry.path >> reason;
    entry.line = number;
    if (reason.empty())
      list.malformed_.push_back(
          {"allow-list", path, number, "an exception needs a rule, a path and a reason"});
    list.entries_.push_back(entry);
  }
  return list;
}

bool AllowList::Allows(const Violation& violation) {
  for (Entry& entry : entries_) {
    const bool covers =
        entry.path == violation.path || (EndsWith(entry.path, "/") && StartsWith(violation.path, entry.path));
    if (entry.rule != violation.rule || !covers) continue;
    entry.used = true;
    return true;
  }
  return false;
}

std::vector<Violation> AllowList::Complaints() const {
  std::vector<Violation> complaints = malformed_;
  for (const Entry& entry : entries_) {
    if (!entry.used)
      complaints.push_back({"allow-list", path_, entry.line, "allows nothing any more: remove it"});
  }
  return complaints;
}

}  // namespace baton::tidy
