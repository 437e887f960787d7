#pragma once

// A client's TCP connection, with TLS over it or without: what Asio's and Beast's algorithms read and write
// (AsyncReadStream, AsyncWriteStream). Includes Asio: only http/*.cc and connection.h may include it.

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/string_view.h"

namespace baton::router {

class ClientSocket {
 public:
  using Tcp = boost::asio::ip::tcp::socket;
  using Tls = boost::asio::ssl::stream<Tcp&>;
  using executor_type = Tcp::executor_type;

  // Without `context`: no TLS.
  ClientSocket(Tcp socket, std::shared_ptr<boost::asio::ssl::context> context)
      : tcp_(std::move(socket)), context_(std::move(context)) {
    if (context_ != nullptr) tls_.emplace(tcp_, *context_);
  }
  ClientSocket(const ClientSocket&) = delete;
  ClientSocket& operator=(const ClientSocket&) = delete;

  executor_type get_executor() { return tcp_.get_executor(); }
  Tcp& tcp() { return tcp_; }

  // Takes what the kernel has room for at once, without a completion: its count of bytes. 0 with TLS, and
  // where an error waits to be met by async_write_some.
  size_t TryWrite(absl::string_view bytes) {
    if (tls_) return 0;
    boost::system::error_code error;
    if (!tcp_.non_blocking()) tcp_.non_blocking(true, error);
    if (error) return 0;
    const size_t written = tcp_.write_some(boost::asio::buffer(bytes.data(), bytes.size()), error);
    return error ? 0 : written;
  }

  bool has_tls() const { return tls_.has_value(); }

  // Only with TLS, and before anything else.
  template <typename Handler>
  void async_handshake(Handler&& handler) {
    tls_->async_handshake(boost::asio::ssl::stream_base::server, std::forward<Handler>(handler));
  }

  template <typename Buffers, typename Handler>
  void async_read_some(const Buffers& buffers, Handler&& handler) {
    if (tls_) return tls_->async_read_some(buffers, std::forward<Handler>(handler));
    tcp_.async_read_some(buffers, std::forward<Handler>(handler));
  }

  template <typename Buffers, typename Handler>
  void async_write_some(const Buffers& buffers, Handler&& handler) {
    if (tls_) return tls_->async_write_some(buffers, std::forward<Handler>(handler));
    tcp_.async_write_some(buffers, std::forward<Handler>(handler));
  }

 private:
  Tcp tcp_;
  const std::shared_ptr<boost::asio::ssl::context> context_;
  std::optional<Tls> tls_;
};

}  // namespace baton::router
