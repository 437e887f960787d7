#pragma once

// Two real processes with a pool each: this one reads, a child of it owns. The child is forked, so make no
// thread before Start.

#include <memory>
#include <vector>

#include "benchmarks/kv/kv_case.h"
#include "common/clock.h"
#include "services/kv_transfer/handoff/node.h"

namespace baton {

class KvPair {
 public:
  static absl::StatusOr<std::unique_ptr<KvPair>> Start(const KvCase& kv);
  ~KvPair();

  // One handoff of `tokens`, offered before; seconds from Open to held.
  absl::StatusOr<double> Handoff(int64_t tokens);
  // `readers` handoffs at once; seconds until all are held.
  absl::StatusOr<double> Handoffs(int64_t tokens, int readers);
  // A handoff whose prompt is computed in `compute` meanwhile: seconds from its last offer to held.
  absl::StatusOr<double> Overlapped(int64_t tokens, absl::Duration compute);
  // Seconds of the plain limit: the same bytes by memcpy, page by page, out of the child's memory.
  double Memcpy(int64_t tokens);
  // Seconds for the child to checksum `tokens` chunk by chunk as it makes them, hot from being written.
  double OwnerChecksums(int64_t tokens);
  // Seconds to copy by our own pass, with and without checks.
  double Pass(int64_t tokens, bool checked);
  double BytesOf(int64_t tokens) const;
  double ChildCpuSeconds();
  // Our pool, whose contents do not matter between handoffs.
  absl::Span<std::byte> Scratch() { return pool_->memory().span(); }
  std::vector<WireLink> links() const { return node_->links(); }

 private:
  class Waiter;
  explicit KvPair(const KvCase& kv);
  absl::StatusOr<double> Run(char order, int64_t tokens, int count, double argument);
  double Ask(char order, uint64_t n, int64_t tokens, double argument);

  const KvCase kv_;
  SteadyClock clock_;
  int child_ = -1, socket_ = -1;
  uint64_t next_ = 1;
  int handoffs_ = 0;
  std::unique_ptr<BenchPool> pool_;
  std::unique_ptr<SharedMapping> theirs_;
  std::unique_ptr<Waiter> waiter_;
  std::unique_ptr<HandoffNode> node_;
  std::string endpoint_;
};

}  // namespace baton
