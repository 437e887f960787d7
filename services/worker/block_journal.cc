#include "services/worker/block_journal.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace baton {

void BlockJournal::Add(absl::Span<const BlockChange> changes) {
  absl::MutexLock lock(&mutex_);
  for (const BlockChange& change : changes) {
    if (change.stored) {
      held_[change.block] = first_ + changes_.size();
    } else {
      held_.erase(change.block);
    }
    changes_.push_back(change);
    if (changes_.size() <= capacity_) continue;
    changes_.pop_front();
    ++first_;
  }
}

BlockJournal::Part BlockJournal::Read(Cursor* cursor, size_t most) const {
  absl::MutexLock lock(&mutex_);
  const uint64_t end = first_ + changes_.size();
  Part part;
  if (!cursor->begun || cursor->next < first_) {
    std::vector<std::pair<uint64_t, BlockHash>> ordered;
    for (const auto& [block, change] : held_) ordered.emplace_back(change, block);
    std::sort(ordered.begin(), ordered.end(), std::greater<>());
    *cursor = {.begun = true, .next = end};
    for (const auto& [change, block] : ordered) cursor->before.push_back(block);
    part.restart = true;
  }
  if (part.restart || !cursor->before.empty()) {
    const size_t count = std::min(most, cursor->before.size());
    part.stored.assign(cursor->before.rbegin(), cursor->before.rbegin() + static_cast<ptrdiff_t>(count));
    cursor->before.resize(cursor->before.size() - count);
  } else {
    const uint64_t begin = cursor->next;
    absl::flat_hash_map<BlockHash, uint64_t> last;
    for (; cursor->next < end && last.size() < most; ++cursor->next)
      last[changes_[cursor->next - first_].block] = cursor->next;
    for (uint64_t number = begin; number < cursor->next; ++number) {
      const BlockChange& change = changes_[number - first_];
      if (last[change.block] == number) (change.stored ? part.stored : part.evicted).push_back(change.block);
    }
  }
  part.more = !cursor->before.empty() || cursor->next < end;
  return part;
}

}  // namespace baton
