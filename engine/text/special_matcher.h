#pragma once

// Finds special tokens' texts inside a text: the leftmost match, the longest of those that start there.
// Immutable after setup, so thread-safe. A step costs one comparison for each distinct length among the
// tokens with the same first byte.

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/ids.h"

namespace baton {

class SpecialMatcher {
 public:
  struct Match {
    size_t begin;
    size_t length;  // 0: nothing found
    TokenId id;
  };

  void Add(absl::string_view text,
           TokenId id);  // empty texts are ignored; a text given twice keeps its first id
  Match Find(absl::string_view text, size_t from) const;
  bool empty() const { return ids_.empty(); }

 private:
  absl::flat_hash_map<std::string, TokenId> ids_;
  std::array<std::vector<size_t>, 256> lengths_;  // by first byte, longest first
};

}  // namespace baton
