#pragma once

// Which rules of the handoff are taken away just now. Only the copies of its sources that make_variants.py
// edits ask; the names are those of tests/model/rules.py.

#include <set>
#include <string>

namespace baton {

inline std::set<std::string>& TakenAway() {
  static std::set<std::string> rules;
  return rules;
}

inline bool Without(const char* rule) {
  return !TakenAway().empty() && TakenAway().contains(rule);
}

}  // namespace baton
