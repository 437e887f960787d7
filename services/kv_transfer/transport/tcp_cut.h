#pragma once

// A TCP connection that somebody else owns, to be cut: its descriptor may be closed and used again by then,
// so it is known by its addresses too.

#include <netinet/in.h>
#include <sys/socket.h>

namespace baton {

class TcpConnection {
 public:
  explicit TcpConnection(int fd);
  // Shuts it down if it is still this one; the owner sees its end.
  void Cut() const;

 private:
  struct Ends {
    sockaddr_storage local{}, remote{};
    bool Read(int fd);
  };
  int fd_;
  Ends ends_;
  bool known_;
};

}  // namespace baton
