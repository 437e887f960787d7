#pragma once

// Registered memory, and copies that stay within it.

#include <cstring>
#include <vector>

#include "services/kv_transfer/transport/transport.h"

namespace baton {

class Regions {
 public:
  RegionId Add(absl::Span<std::byte> memory) {
    regions_.push_back(memory);
    return static_cast<RegionId>(regions_.size() - 1);
  }
  void Clear() { regions_.clear(); }

  bool Contains(RegionId region, uint64_t offset, uint64_t length) const {
    return region < regions_.size() && offset <= regions_[region].size() &&
           length <= regions_[region].size() - offset;
  }
  // Sum of the lengths; an error if any range is not within a region, or they are more than `most` bytes.
  absl::StatusOr<size_t> Check(absl::Span<const ByteRange> ranges, size_t most) const {
    size_t total = 0;
    for (const ByteRange& range : ranges) {
      if (!Contains(range.region, range.offset, range.length) || range.length > most - total) {
        return absl::OutOfRangeError("a read is out of bounds");
      }
      total += range.length;
    }
    return total;
  }
  // Both as checked before: `ranges` to consecutive bytes at `out`, and consecutive bytes to the local ranges
  // of `ops`.
  void Gather(absl::Span<const ByteRange> ranges, std::byte* out) const {
    for (const ByteRange& range : ranges) {
      std::memcpy(out, regions_[range.region].data() + range.offset, range.length);
      out += range.length;
    }
  }
  void Scatter(const std::byte* in, absl::Span<const CopyOp> ops) const {
    for (const CopyOp& op : ops) {
      std::memcpy(regions_[op.local_region].data() + op.local_offset, in, op.length);
      in += op.length;
    }
  }
  bool LocalsFit(absl::Span<const CopyOp> ops) const {
    for (const CopyOp& op : ops) {
      if (!Contains(op.local_region, op.local_offset, op.length)) return false;
    }
    return true;
  }

 private:
  std::vector<absl::Span<std::byte>> regions_;
};

inline size_t TotalLength(absl::Span<const CopyOp> ops) {
  size_t total = 0;
  for (const CopyOp& op : ops) total += op.length;
  return total;
}

}  // namespace baton
