#pragma once

// The small HTTP server beside every service: /healthz, /readyz and /metrics, on one thread. Start it before
// anything slow, so that loading and ready can be told apart. Connections, request sizes and times are
// bounded.

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/listen.h"

namespace baton {

// Called on the server's thread; must not block. An Ok status is answered with 200, another with 503 and its
// message.
struct AdminHandlers {
  std::function<absl::Status()> healthy;
  std::function<absl::Status()> ready;
  std::function<std::string()> metrics;
};

class AdminServer {
 public:
  // Unavailable if the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(const HostPort& listen, AdminHandlers handlers);
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  // Where it listens, the port filled in. Constant.
  const HostPort& address() const;
  // From its return on, the former handlers are called no more. Thread-safe; not from within a handler.
  void SetHandlers(AdminHandlers handlers);

 private:
  struct Impl;
  explicit AdminServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
