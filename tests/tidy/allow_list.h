#pragma once

#include <set>
#include <string>
#include <vector>

#include "tests/tidy/source_tree.h"

namespace baton::tidy {

// Exceptions, each with a reason: lines of `rule path reason...`; a path that ends in '/' stands for all
// below it.
class AllowList {
 public:
  // Lines without a reason become violations.
  static AllowList Parse(const std::string& path, const std::string& text);

  // Whether this violation is an exception; marks the entry as used.
  bool Allows(const Violation& violation);

  // Malformed entries, and entries that allowed nothing: the list only ever shrinks.
  std::vector<Violation> Complaints() const;

 private:
  struct Entry {
    std::string rule, path;
    int line = 0;
    bool used = false;
  };
  std::string path_;
  std::vector<Entry> entries_;
  std::vector<Violation> malformed_;
};

}  // namespace baton::tidy
