#pragma once

// How often each transition, fault and message kind was met, over any number of worlds. Not thread-safe: one
// a thread, merged at the end.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace baton::sim {

class Coverage {
 public:
  void Hit(absl::string_view what, uint64_t times = 1) { hits_[what] += times; }
  uint64_t count(absl::string_view what) const;
  void Merge(const Coverage& other);

  // Those of `required` that were never hit.
  std::vector<std::string> Missing(const std::vector<std::string>& required) const;
  // One line a name, sorted.
  std::string Table() const;

 private:
  absl::flat_hash_map<std::string, uint64_t> hits_;
};

}  // namespace baton::sim
