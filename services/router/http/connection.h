#pragma once

// One client connection (internal to http/). Includes Asio and Beast: only http/*.cc may include it.
//
//   (TLS handshake ->) reading header -> reading body -> exchange open (a read stays pending, so that a
//   disconnect is seen) -> idle -> ...

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "services/router/http/client_socket.h"
#include "services/router/http/http_types.h"

namespace baton::router {

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  // `on_end` runs once, when the socket is closed.
  // Without `tls`: none.
  Connection(boost::asio::ip::tcp::socket socket, std::shared_ptr<boost::asio::ssl::context> tls,
             const HttpLimits& limits, HttpHandler& handler, std::function<void()> on_end);
  ~Connection();
  void Start();
  // Answers 503 and closes, without reading a request; with TLS only closes.
  void Refuse();
  // Thread-safe: no request of it is being answered, and it may be closed in favour of another.
  bool waits() const { return waits_; }
  void Stop();       // thread-safe: closes now
  void Interrupt();  // thread-safe: retires, and tells an open exchange (kServerStopping) while it can still
                     // answer
  void Retire();     // thread-safe: closes as soon as no exchange is open and nothing is left to send

  // For the exchange numbered `number`; ignored if it is not the open one.
  void Post(std::function<void()> task);
  void Respond(uint64_t number, HttpResponse response);
  void StartStream(uint64_t number, absl::string_view content_type, const HttpHeaders& headers);
  bool Write(uint64_t number, absl::string_view data);
  void EndStream(uint64_t number, bool clean);
  void OnClosed(uint64_t number, std::function<void(HttpClose)> callback);
  void SetAlarm(uint64_t number, MonoTime when, std::function<void()> callback);
  void Abandon(uint64_t number);  // thread-safe: the exchange was dropped

 private:
  using Error = boost::system::error_code;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  void Handshake();
  void ReadRequest();
  void OnHeader(Error error);
  void ReadBody();
  void OnBody(Error error);
  void Dispatch();
  void ReadFailed(Error error);
  void FailRequest(int status, absl::string_view message);
  void WatchForClose();
  void NextRequest();
  void Send(std::string bytes);
  void Flush();
  void OnWritten(Error error);
  void Linger();
  void ExchangeEnded(bool keep_alive);
  void Close(HttpClose why);
  void Expect(absl::Duration within, HttpClose why);  // arms the connection's one timer
  void ClearTimer();
  bool Open(uint64_t number) const { return exchange_ == number && exchange_ != 0 && !closed_; }

  ClientSocket socket_;
  const HttpLimits& limits_;
  HttpHandler& handler_;
  std::function<void()> on_end_;
  boost::asio::steady_timer timer_;
  uint64_t timer_armed_ = 0;
  boost::asio::steady_timer alarm_;
  uint64_t alarm_armed_ = 0;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::atomic<bool> waits_{true};
  bool reading_ = false;  // some read is pending
  bool watching_ = false;
  uint64_t next_exchange_ = 1;
  uint64_t exchange_ = 0;  // 0: none open
  bool keep_alive_ = false;
  bool head_only_ = false;
  bool chunked_ = false;
  bool streaming_ = false;
  std::function<void(HttpClose)> on_closed_;
  std::string writing_;
  std::string pending_;
  bool write_active_ = false;
  bool close_when_written_ = false;
  bool lingering_ = false;  // the client may still be sending what was refused
  uint64_t discarded_ = 0;
  bool closed_ = false;
};

}  // namespace baton::router
