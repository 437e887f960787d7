#include "services/kv_transfer/pool/disk_books.h"

#include <map>
#include <utility>

namespace baton::pool {

bool DiskBooks::HasRoom() const {
  const bool in_segment = open_ && static_cast<int64_t>(segments_.back().keys.size()) < slots_;
  return enabled() && (in_segment || segments() < most_segments_);
}

void DiskBooks::Recover(const RecoveredLog& log) {
  std::map<uint64_t, std::vector<BlockHash>> found;
  for (const uint64_t segment : log.segments) found[segment];
  for (const RecordName& name : log.blocks) found[name.place.segment].push_back(name.key);
  for (auto& [number, keys] : found) segments_.push_back({number, std::move(keys)});
  next_segment_ = log.next_segment;
  next_sequence_ = log.next_sequence;
}

DiskBooks::Placed DiskBooks::Place(const BlockHash& key) {
  Placed placed;
  if (open_ && static_cast<int64_t>(segments_.back().keys.size()) >= slots_) {
    placed.sealed = segments_.back().number;
    open_ = false;
  }
  if (!open_) segments_.push_back({next_segment_++, {}});
  open_ = true;
  Segment& segment = segments_.back();
  placed.place = {segment.number, static_cast<uint32_t>(segment.keys.size())};
  placed.sequence = next_sequence_++;
  segment.keys.push_back(key);
  return placed;
}

std::optional<DiskBooks::Dropped> DiskBooks::DropOldest() {
  if (segments() <= most_segments_) return std::nullopt;
  Dropped dropped{segments_.front().number, std::move(segments_.front().keys)};
  segments_.pop_front();
  return dropped;
}

}  // namespace baton::pool
