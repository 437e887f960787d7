#pragma once

// The gRPC face of a pool (proto/baton/pool.proto). Calls in flight and message sizes are bounded.

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/kv_transfer/pool/service/pool_host.h"

namespace baton::pool {

struct PoolServerOptions {
  std::string listen = "127.0.0.1:0";  // HOST:PORT, port 0: any free one; or unix:PATH
  int max_calls = 256;
  int max_message_bytes = 4 << 20;
};

class PoolServer {
 public:
  // `host` outlives the server. Unavailable if the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<PoolServer>> Start(const PoolServerOptions& options, PoolHost* host);
  ~PoolServer();  // the host's node must be alive to answer what is in flight
  PoolServer(const PoolServer&) = delete;
  PoolServer& operator=(const PoolServer&) = delete;

  // As `listen`, the port filled in. Constant.
  const std::string& address() const;

 private:
  struct Impl;
  explicit PoolServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton::pool
