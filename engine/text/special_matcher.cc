#include "engine/text/special_matcher.h"

#include <algorithm>
#include <cstdint>
#include <functional>

namespace baton {

void SpecialMatcher::Add(absl::string_view text, TokenId id) {
  if (text.empty() || !ids_.emplace(std::string(text), id).second) return;
  std::vector<size_t>& lengths = lengths_[static_cast<uint8_t>(text[0])];
  const auto at = std::lower_bound(lengths.begin(), lengths.end(), text.size(), std::greater<>());
  if (at == lengths.end() || *at != text.size()) lengths.insert(at, text.size());
}

SpecialMatcher::Match SpecialMatcher::Find(absl::string_view text, size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    for (const size_t length : lengths_[static_cast<uint8_t>(text[begin])]) {
      if (length > text.size() - begin) continue;
      const auto found = ids_.find(text.substr(begin, length));
      if (found != ids_.end()) return {begin, length, found->second};
    }
  }
  return {text.size(), 0, -1};
}

}  // namespace baton
