#include "services/worker/block_journal.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"

namespace baton {

void BlockJournal::Add(absl::Span<const BlockChange> changes) {
  absl::MutexLock lock(&mutex_);
  for (const BlockChange& change : changes) {
    if (change.stored) {
      held_.insert(change.block);
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
    *cursor = {.begun = true, .next = end, .before = {held_.begin(), held_.end()}};
    part.restart = true;
  }
  if (part.restart || !cursor->before.empty()) {
    const size_t count = std::min(most, cursor->before.size());
    part.stored.assign(cursor->before.end() - static_cast<ptrdiff_t>(count), cursor->before.end());
    cursor->before.resize(cursor->before.size() - count);
  } else {
    absl::flat_hash_map<BlockHash, bool> last;
    for (; cursor->next < end && last.size() < most; ++cursor->next) {
      const BlockChange& change = changes_[cursor->next - first_];
      last[change.block] = change.stored;
    }
    for (const auto& [block, stored] : last) (stored ? part.stored : part.evicted).push_back(block);
  }
  part.more = !cursor->before.empty() || cursor->next < end;
  return part;
}

}  // namespace baton
