#pragma once

// The gRPC face of a Worker (proto/baton/worker.proto). Calls in flight, message sizes and idle connections
// are bounded; keep-alive notices a peer that vanished within a few seconds.

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/grpc_tls.h"
#include "common/listen.h"
#include "services/worker/worker.h"

namespace baton {

struct WorkerServerOptions {
  HostPort listen;
  GrpcTlsFiles tls;
  int max_calls = 2048;             // in flight; one more is RESOURCE_EXHAUSTED
  int max_message_bytes = 8 << 20;  // received
  absl::Duration keepalive = absl::Seconds(2);
  absl::Duration keepalive_timeout = absl::Seconds(3);
  absl::Duration watch_interval = absl::Milliseconds(100);
  absl::Duration watch_write_time =
      absl::Seconds(10);  // a watcher that takes no event for so long is cut off
  absl::Duration drain_grace_limit = absl::Hours(1);
};

class WorkerServer {
 public:
  // `worker` outlives the server. Unavailable if the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<WorkerServer>> Start(const WorkerServerOptions& options,
                                                             Worker* worker);
  // Cancels what is still in flight and waits for its end, which the worker must be alive to bring about.
  ~WorkerServer();
  WorkerServer(const WorkerServer&) = delete;
  WorkerServer& operator=(const WorkerServer&) = delete;

  // Where it listens, the port filled in. Constant.
  const HostPort& address() const;

 private:
  struct Impl;
  explicit WorkerServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
