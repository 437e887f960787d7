#pragma once

// TCP sockets that never wait, and numeric addresses: nothing here asks a name server.

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace baton {

struct TcpAddress {
  // "1.2.3.4" or "[fe80::1]" or "fe80::1". InvalidArgument: a name.
  static absl::StatusOr<TcpAddress> Parse(absl::string_view host, uint16_t port);
  bool any() const;  // the wildcard
  uint16_t port() const;
  std::string host() const;  // numeric, without brackets
  sockaddr_storage storage = {};
  socklen_t size = 0;
};
// An address of this machine by which others may reach it: of an interface that is up and not the loopback
// one, of `like`'s family; empty if there is none.
std::string OwnHost(const TcpAddress& like);
// The network interface of this machine that `host` is, by name or by numeric address; empty if there is
// none, or `host` is the wildcard.
std::string InterfaceOf(const std::string& host);
// The host of "tcp://host:port", without brackets.
std::string HostOfEndpoint(absl::string_view endpoint);

class TcpSocket {
 public:
  TcpSocket() = default;
  explicit TcpSocket(int fd) : fd_(fd) {}
  ~TcpSocket();
  TcpSocket(TcpSocket&& other) noexcept;
  TcpSocket& operator=(TcpSocket&& other) noexcept;

  static absl::StatusOr<TcpSocket> Listen(const TcpAddress& address);
  static absl::StatusOr<TcpSocket> Connect(const TcpAddress& address);  // under way
  TcpSocket Accept() const;                                             // invalid if nobody has called
  absl::StatusOr<TcpAddress> Bound() const;

  int fd() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // Bytes moved; 0: none now; negative: the connection is over.
  int64_t Send(absl::Span<const iovec> parts) const;
  int64_t Receive(absl::Span<const iovec> parts) const;

 private:
  int fd_ = -1;
};

}  // namespace baton
