#include "services/kv_transfer/transport/tcp_socket.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace baton {
namespace {

constexpr int kBacklog = 64;
// A peer that does not answer, as behind a broken switch, ends the connection within some seconds.
constexpr int kUnansweredMs = 3000;
constexpr int kProbeIdleSeconds = 1, kProbeEverySeconds = 1, kProbes = 3;

absl::Status Error(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat("TCP: ", what, ": ", strerror(errno)));
}

sockaddr* Raw(TcpAddress& address) {
  return reinterpret_cast<sockaddr*>(&address.storage);
}
const sockaddr* Raw(const TcpAddress& address) {
  return reinterpret_cast<const sockaddr*>(&address.storage);
}
const sockaddr_in& V4(const TcpAddress& address) {
  return *reinterpret_cast<const sockaddr_in*>(&address.storage);
}
const sockaddr_in6& V6(const TcpAddress& address) {
  return *reinterpret_cast<const sockaddr_in6*>(&address.storage);
}

absl::StatusOr<TcpSocket> NewSocket(int family) {
  TcpSocket socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return Error("socket");
  return socket;
}

void Hurry(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  const std::pair<int, int> limits[] = {{TCP_USER_TIMEOUT, kUnansweredMs},
                                        {TCP_KEEPIDLE, kProbeIdleSeconds},
                                        {TCP_KEEPINTVL, kProbeEverySeconds},
                                        {TCP_KEEPCNT, kProbes}};
  for (const auto& [option, value] : limits) setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value);
}

int64_t Moved(ssize_t count, bool end_is_zero) {
  if (count > 0) return count;
  if (count == 0 && !end_is_zero) return 0;
  return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOTCONN) ? 0
                                                                                                       : -1;
}

}  // namespace

absl::StatusOr<TcpAddress> TcpAddress::Parse(absl::string_view host, uint16_t port) {
  absl::ConsumePrefix(&host, "[");
  absl::ConsumeSuffix(&host, "]");
  const std::string text(host == "*" ? "0.0.0.0" : host);
  TcpAddress address;
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.size = sizeof *v4;
  } else if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.size = sizeof *v6;
  } else {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is no numeric address"));
  }
  return address;
}

bool TcpAddress::any() const {
  if (storage.ss_family == AF_INET) return V4(*this).sin_addr.s_addr == INADDR_ANY;
  return IN6_IS_ADDR_UNSPECIFIED(&V6(*this).sin6_addr);
}

uint16_t TcpAddress::port() const {
  return ntohs(storage.ss_family == AF_INET ? V4(*this).sin_port : V6(*this).sin6_port);
}

std::string TcpAddress::host() const {
  char text[INET6_ADDRSTRLEN] = {};
  const void* const from = storage.ss_family == AF_INET ? static_cast<const void*>(&V4(*this).sin_addr)
                                                        : static_cast<const void*>(&V6(*this).sin6_addr);
  inet_ntop(storage.ss_family, from, text, sizeof text);
  return text;
}

std::string OwnHost(const TcpAddress& like) {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return "";
  std::string found;
  for (const ifaddrs* each = all; each != nullptr && found.empty(); each = each->ifa_next) {
    const bool up = (each->ifa_flags & IFF_UP) != 0 && (each->ifa_flags & IFF_LOOPBACK) == 0;
    if (!up || each->ifa_addr == nullptr || each->ifa_addr->sa_family != like.storage.ss_family) continue;
    TcpAddress address;
    address.size = like.size;
    std::memcpy(&address.storage, each->ifa_addr, like.size);
    found = address.host();
  }
  freeifaddrs(all);
  return found;
}

std::string InterfaceOf(const std::string& host) {
  if (if_nametoindex(host.c_str()) != 0) return host;
  const auto wanted = TcpAddress::Parse(host, 0);
  ifaddrs* all = nullptr;
  if (!wanted.ok() || wanted->any() || getifaddrs(&all) != 0) return "";
  const bool loopback = wanted->host() == "::1" ||
                        (wanted->storage.ss_family == AF_INET && absl::StartsWith(wanted->host(), "127."));
  std::string found;
  for (const ifaddrs* each = all; each != nullptr && found.empty(); each = each->ifa_next) {
    if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != wanted->storage.ss_family) continue;
    TcpAddress address;
    std::memcpy(&address.storage, each->ifa_addr, wanted->size);
    const bool is = loopback ? (each->ifa_flags & IFF_LOOPBACK) != 0 : address.host() == wanted->host();
    if (is) found = each->ifa_name;
  }
  freeifaddrs(all);
  return found;
}

std::string HostOfEndpoint(absl::string_view endpoint) {
  if (const size_t scheme = endpoint.find("://"); scheme != absl::string_view::npos)
    endpoint.remove_prefix(scheme + 3);
  endpoint = endpoint.substr(0, endpoint.rfind(':'));
  absl::ConsumePrefix(&endpoint, "[");
  absl::ConsumeSuffix(&endpoint, "]");
  return std::string(endpoint);
}

TcpSocket::~TcpSocket() {
  if (fd_ >= 0) close(fd_);
}
TcpSocket::TcpSocket(TcpSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
TcpSocket& TcpSocket::operator=(TcpSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

absl::StatusOr<TcpSocket> TcpSocket::Listen(const TcpAddress& address) {
  auto socket = NewSocket(address.storage.ss_family);
  if (!socket.ok()) return socket;
  if (bind(socket->fd(), Raw(address), address.size) != 0) return Error("bind");
  if (listen(socket->fd(), kBacklog) != 0) return Error("listen");
  return socket;
}

absl::StatusOr<TcpSocket> TcpSocket::Connect(const TcpAddress& address) {
  auto socket = NewSocket(address.storage.ss_family);
  if (!socket.ok()) return socket;
  Hurry(socket->fd());
  if (connect(socket->fd(), Raw(address), address.size) != 0 && errno != EINPROGRESS) return Error("connect");
  return socket;
}

TcpSocket TcpSocket::Accept() const {
  TcpSocket socket(accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket.valid()) Hurry(socket.fd());
  return socket;
}

absl::StatusOr<TcpAddress> TcpSocket::Bound() const {
  TcpAddress address;
  address.size = sizeof address.storage;
  if (getsockname(fd_, Raw(address), &address.size) != 0) return Error("getsockname");
  return address;
}

int64_t TcpSocket::Send(absl::Span<const iovec> parts) const {
  msghdr message = {};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  return Moved(sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT), false);
}

int64_t TcpSocket::Receive(absl::Span<const iovec> parts) const {
  msghdr message = {};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  return Moved(recvmsg(fd_, &message, MSG_DONTWAIT), true);
}

}  // namespace baton
