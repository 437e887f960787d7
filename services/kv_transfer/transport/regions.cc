#include "services/kv_transfer/transport/regions.h"

namespace baton {

bool ChecksFit(absl::Span<const CopyOp> ops, absl::Span<const RangeCheck> checks) {
  if (checks.empty()) return true;
  size_t next = 0;
  for (const CopyOp& op : ops) {
    uint64_t covered = 0;
    while (covered < op.length) {
      if (next == checks.size() || checks[next].length == 0 || checks[next].length > op.length - covered)
        return false;
      covered += checks[next++].length;
    }
  }
  return next == checks.size();
}

RunCursor::Run RunCursor::Next() {
  const CopyOp& op = batch_->ops[op_];
  Run run{&op, skip_, op.length - skip_, nullptr};
  if (!batch_->checks.empty()) {
    run.length = batch_->checks[check_].length;
    run.checksum = &batch_->checks[check_++].checksum;
  }
  skip_ += run.length;
  if (skip_ == op.length) {
    ++op_;
    skip_ = 0;
  }
  return run;
}

absl::StatusOr<size_t> Regions::Check(absl::Span<const ByteRange> ranges, size_t most) const {
  size_t total = 0;
  for (const ByteRange& range : ranges) {
    if (!Contains(range.region, range.offset, range.length) || range.length > most - total) {
      return absl::OutOfRangeError("a read is out of bounds");
    }
    total += range.length;
  }
  return total;
}

bool Regions::LocalsFit(absl::Span<const CopyOp> ops) const {
  for (const CopyOp& op : ops) {
    if (op.length == 0 || !Contains(op.local_region, op.local_offset, op.length)) return false;
  }
  return true;
}

absl::Status Regions::Check(const ReadBatch& batch) const {
  if (!LocalsFit(batch.ops)) return absl::FailedPreconditionError("a read is out of bounds");
  if (!ChecksFit(batch.ops, batch.checks))
    return absl::FailedPreconditionError("a read's checks are not of its bytes");
  return absl::OkStatus();
}

void Regions::Gather(absl::Span<const ByteRange> ranges, std::byte* out) const {
  for (const ByteRange& range : ranges) {
    std::memcpy(out, At(range.region, range.offset), range.length);
    out += range.length;
  }
}

bool Regions::Scatter(const std::byte* in, const ReadBatch& batch) const {
  bool right = true;
  for (RunCursor cursor(&batch); !cursor.done();) {
    const RunCursor::Run run = cursor.Next();
    right &= Store(in, run);
    in += run.length;
  }
  CopiesDone();
  return right;
}

}  // namespace baton
