#pragma once

// A pool process's one PoolNode, made when the first worker says what KV it has. Thread-safe.

#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "services/kv_transfer/pool/pool_node.h"
#include "services/kv_transfer/transport/transport.h"

namespace baton::pool {

class PoolHost {
 public:
  // `folder` may be null; `clock` outlives the host.
  PoolHost(PoolNodeOptions options, WireMaker wire, std::unique_ptr<DiskFolder> folder, const Clock* clock)
      : options_(std::move(options)), wire_(std::move(wire)), clock_(clock), folder_(std::move(folder)) {}

  // FailedPrecondition: the pool holds KV of another fingerprint or layout. May take as long as making the
  // memory does.
  absl::StatusOr<std::shared_ptr<PoolNode>> Attach(const std::string& fingerprint, const KvLayout& layout);
  // Null: nobody has attached.
  std::shared_ptr<PoolNode> node() const;

 private:
  const PoolNodeOptions options_;
  const WireMaker wire_;
  const Clock* const clock_;
  Mutex making_;  // before mutex_
  mutable Mutex mutex_;
  std::unique_ptr<DiskFolder> folder_ ABSL_GUARDED_BY(making_);
  std::shared_ptr<PoolNode> node_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace baton::pool
