#include "services/kv_transfer/transport/tcp_cut.h"

#include <unistd.h>

#include <cstring>

namespace baton {

bool TcpConnection::Ends::Read(int fd) {
  socklen_t local_size = sizeof local, remote_size = sizeof remote;
  return getsockname(fd, reinterpret_cast<sockaddr*>(&local), &local_size) == 0 &&
         getpeername(fd, reinterpret_cast<sockaddr*>(&remote), &remote_size) == 0;
}

TcpConnection::TcpConnection(int fd) : fd_(fd), ends_(), known_(ends_.Read(fd)) {}

void TcpConnection::Cut() const {
  if (!known_) return;
  const int held = dup(fd_);
  if (held < 0) return;
  Ends now;
  const bool same = now.Read(held) && std::memcmp(&now.local, &ends_.local, sizeof now.local) == 0 &&
                    std::memcmp(&now.remote, &ends_.remote, sizeof now.remote) == 0;
  if (same) shutdown(held, SHUT_RDWR);
  close(held);
}

}  // namespace baton
