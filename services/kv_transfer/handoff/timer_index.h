#pragma once

// Deadlines by key: at most one each.

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "common/clock.h"

namespace baton {

template <typename Key>
class TimerIndex {
 public:
  // InfiniteFuture removes.
  void Set(const Key& key, MonoTime at) {
    Remove(key);
    if (at == absl::InfiniteFuture()) return;
    by_key_.emplace(key, at);
    by_time_.emplace(at, key);
  }
  void Remove(const Key& key) {
    auto it = by_key_.find(key);
    if (it == by_key_.end()) return;
    by_time_.erase({it->second, key});
    by_key_.erase(it);
  }
  MonoTime Next() const { return by_time_.empty() ? absl::InfiniteFuture() : by_time_.begin()->first; }
  // Removes and returns a key that is due at `now`.
  std::optional<Key> PopDue(MonoTime now) {
    if (by_time_.empty() || by_time_.begin()->first > now) return std::nullopt;
    Key key = by_time_.begin()->second;
    Remove(key);
    return key;
  }

 private:
  std::map<Key, MonoTime> by_key_;
  std::set<std::pair<MonoTime, Key>> by_time_;
};

}  // namespace baton
