#pragma once

// A pool process's one PoolNode, made when the first worker says what KV it has. Thread-safe.

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "services/kv_transfer/pool/pool_node.h"
#include "services/kv_transfer/transport/transport.h"

namespace baton::pool {

class PoolHost {
 public:
  // `folder` may be null; `clock` outlives the host.
  PoolHost(PoolNodeOptions options, WireMaker wire, std::unique_ptr<DiskFolder> folder, const Clock* clock);
  ~PoolHost();  // those who wait hear Unavailable
  PoolHost(const PoolHost&) = delete;
  PoolHost& operator=(const PoolHost&) = delete;

  // Never blocks. `done` is called once: at once, or on the host's thread when memory, wire and disk are
  // there. FailedPrecondition: the pool holds KV of another fingerprint or layout. ResourceExhausted: too
  // many wait.
  using Attached = std::function<void(absl::StatusOr<std::shared_ptr<PoolNode>>)>;
  void Attach(std::string fingerprint, const KvLayout& layout, Attached done);
  // Null: nobody has attached.
  std::shared_ptr<PoolNode> node() const;

 private:
  struct Guest {
    std::string fingerprint;
    KvLayout layout;
    Attached done;
  };
  void Run();
  absl::StatusOr<std::shared_ptr<PoolNode>> Serve(const Guest& guest);

  const PoolNodeOptions options_;
  const WireMaker wire_;
  const Clock* const clock_;
  std::unique_ptr<DiskFolder> folder_;  // of the thread
  mutable Mutex mutex_;
  std::deque<Guest> guests_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<PoolNode> node_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace baton::pool
