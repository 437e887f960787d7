#pragma once

// HTTP/1.1 server on Boost.Beast's parser and Asio: keep-alive, bounded pipelining, chunked streaming, limits
// and timeouts (http_types.h). A few threads share one event loop; each connection is a strand.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/router/http/http_types.h"

namespace baton::router {

class HttpServer {
 public:
  // Listens on host:port (port 0: any) and serves until Stop. `handler` must outlive the server. `warn` hears
  // of certificates that have changed and cannot be used.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& host, uint16_t port,
                                                           int threads, const HttpLimits& limits,
                                                           const TlsFiles& tls,
                                                           std::function<void(const absl::Status&)> warn,
                                                           HttpHandler& handler);
  ~HttpServer();  // stops
  uint16_t port() const;
  uint32_t connections() const;
  // Closes the listener and idle connections, lets others finish for up to `grace`; then open exchanges hear
  // kServerStopping and have up to `last_words` to be answered. Closes what is left, joins the threads.
  void Stop(absl::Duration grace, absl::Duration last_words);

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton::router
