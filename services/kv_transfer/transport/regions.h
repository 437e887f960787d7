#pragma once

// Registered memory, and copies that stay within it.

#include <cstring>
#include <vector>

#include "common/checksum.h"
#include "services/kv_transfer/transport/transport.h"

namespace baton {

inline size_t TotalLength(absl::Span<const CopyOp> ops) {
  size_t total = 0;
  for (const CopyOp& op : ops) total += op.length;
  return total;
}

// Whether the checks, if any, are of all the bytes, each within one op.
bool ChecksFit(absl::Span<const CopyOp> ops, absl::Span<const RangeCheck> checks);

// Walks a batch's bytes in order, in runs: one check each, or one op where there are no checks. Call only if
// ChecksFit.
class RunCursor {
 public:
  struct Run {
    const CopyOp* op = nullptr;
    uint64_t skip = 0;  // within the op
    uint64_t length = 0;
    const uint64_t* checksum = nullptr;  // null: not checked
  };
  explicit RunCursor(const ReadBatch* batch) : batch_(batch) {}
  bool done() const { return op_ == batch_->ops.size(); }
  Run Next();  // not if done()

 private:
  const ReadBatch* batch_;
  size_t op_ = 0, check_ = 0;
  uint64_t skip_ = 0;
};

class Regions {
 public:
  RegionId Add(absl::Span<std::byte> memory) {
    regions_.push_back(memory);
    return static_cast<RegionId>(regions_.size() - 1);
  }
  void Clear() { regions_.clear(); }
  size_t size() const { return regions_.size(); }
  absl::Span<std::byte> operator[](RegionId region) const { return regions_[region]; }

  bool Contains(RegionId region, uint64_t offset, uint64_t length) const {
    return region < regions_.size() && offset <= regions_[region].size() &&
           length <= regions_[region].size() - offset;
  }
  // Sum of the lengths; an error if any range is not within a region, or they are more than `most` bytes.
  absl::StatusOr<size_t> Check(absl::Span<const ByteRange> ranges, size_t most) const;
  bool LocalsFit(absl::Span<const CopyOp> ops) const;
  // What is wrong with a batch that we would read, if anything.
  absl::Status Check(const ReadBatch& batch) const;

  // All below as checked before.
  std::byte* At(RegionId region, uint64_t offset) const { return regions_[region].data() + offset; }
  std::byte* Local(const RunCursor::Run& run) const {
    return At(run.op->local_region, run.op->local_offset + run.skip);
  }
  // `ranges` to consecutive bytes at `out`.
  void Gather(absl::Span<const ByteRange> ranges, std::byte* out) const;
  // Consecutive bytes to where the batch wants them; false: a check failed.
  bool Scatter(const std::byte* in, const ReadBatch& batch) const;
  // The same for one run. CopiesDone() (common/checksum.h) comes after the last.
  bool Store(const std::byte* in, const RunCursor::Run& run) const {
    const absl::Span<const std::byte> bytes(in, run.length);
    if (run.checksum != nullptr) return CopyChecksum64(bytes, Local(run)) == *run.checksum;
    CopyPastCaches(bytes, Local(run));
    return true;
  }

 private:
  std::vector<absl::Span<std::byte>> regions_;
};

}  // namespace baton
