#pragma once

// What the HTTP server and its handler say to each other. The server knows HTTP/1.1 and nothing of what is
// served.
//
// Threads: a connection's callbacks and its exchange's methods all run on that connection's strand, one at a
// time, on any of the server's threads. Post is the only method that may be called from elsewhere.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/clock.h"

namespace baton::router {

struct HttpLimits {
  uint64_t max_body_bytes = 4u << 20;
  uint32_t max_header_bytes = 16u << 10;
  uint32_t max_read_ahead_bytes = 64u << 10;  // pipelined while a request is answered; more: cut off
  uint64_t max_send_buffer_bytes = 1u << 20;  // unsent, per connection
  // When as many are open, the longest open of those that wait for a request to arrive is closed in favour of
  // a new one; if all are being answered, that gets 503.
  uint32_t max_connections = 1024;
  absl::Duration header_timeout = absl::Seconds(10);  // whole header, from the first byte or the connect
  absl::Duration body_timeout = absl::Seconds(30);    // whole body
  absl::Duration idle_timeout = absl::Seconds(75);    // between requests
  absl::Duration write_timeout = absl::Seconds(30);   // to take what was unsent
};

// PEM. Empty: no TLS; without client_authority anybody may connect, with it only those it has certified.
struct TlsFiles {
  std::string certificate, key, client_authority;
  bool empty() const { return certificate.empty() && key.empty() && client_authority.empty(); }
};

struct HttpRequest {
  std::string method;
  std::string path;  // of the target, without its query
  std::string content_type;
  std::string authorization;  // the header's value; a secret: for no log
  std::string last_event_id;  // as given by a client that comes back for a stream; empty: none
  bool has_length = false;    // a Content-Length or chunked body was announced
  std::string body;
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  HttpHeaders headers;
  std::string body;
  bool close = false;  // the connection, after it
};

enum class HttpClose { kClientGone, kWriteTimeout, kServerStopping };

// The answer to one request: one Respond, or StartStream, Writes and EndStream. After either, or after the
// close callback, everything is ignored. Dropping the last reference unanswered closes the connection.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  // Thread-safe: runs `task` later on the strand, even when the connection is gone.
  virtual void Post(std::function<void()> task) = 0;
  virtual void Respond(HttpResponse response) = 0;
  virtual void StartStream(absl::string_view content_type, const HttpHeaders& headers) = 0;
  // False if the client reads too slowly and the send buffer is full (`data` is then not taken).
  virtual bool Write(absl::string_view data) = 0;
  // `clean`: the client sees the body's end; else the connection just closes after what was written (before
  // StartStream: without a response).
  virtual void EndStream(bool clean) = 0;
  // Called once if the connection ends before the answer does. With kServerStopping the connection may still
  // be open: a last answer given at once is sent. Released when the exchange ends.
  virtual void OnClosed(std::function<void(HttpClose)> callback) = 0;
  // One alarm per exchange; setting it again replaces it; InfiniteFuture clears it.
  virtual void SetAlarm(MonoTime when, std::function<void()> callback) = 0;
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Must not block. Called from several threads at once, for different connections.
  virtual void Handle(HttpRequest request, std::shared_ptr<HttpExchange> exchange) = 0;
  // The answer to what is not even a request (400, 408, 413, 431, 503).
  virtual HttpResponse ErrorResponse(int status, absl::string_view message) = 0;
};

}  // namespace baton::router
