// What the kernel was told of our sockets: that they never wait, and that a peer which vanishes is noticed.

#include "services/kv_transfer/transport/tcp_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <string>

namespace baton {
namespace {

int Option(const TcpSocket& socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  EXPECT_EQ(getsockopt(socket.fd(), level, name, &value, &size), 0);
  return value;
}

bool NeverWaits(const TcpSocket& socket) {
  return (fcntl(socket.fd(), F_GETFL) & O_NONBLOCK) != 0 && (fcntl(socket.fd(), F_GETFD) & FD_CLOEXEC) != 0;
}

struct TcpSocketTest : testing::Test {
  TcpSocketTest() : server(*TcpSocket::Listen(*TcpAddress::Parse("127.0.0.1", 0))) {}
  void Join() {
    client = *TcpSocket::Connect(*server.Bound());
    pollfd calls{server.fd(), POLLIN, 0};
    ASSERT_EQ(poll(&calls, 1, 10'000), 1);
    accepted = server.Accept();
    ASSERT_TRUE(accepted.valid());
  }
  TcpSocket server, client, accepted;
};

TEST_F(TcpSocketTest, BothEndsAreKeptAliveAndGivenUpWithinSeconds) {
  Join();
  for (const TcpSocket* end : {&client, &accepted}) {
    EXPECT_NE(Option(*end, SOL_SOCKET, SO_KEEPALIVE), 0);
    const int silent = Option(*end, IPPROTO_TCP, TCP_KEEPIDLE) +
                       Option(*end, IPPROTO_TCP, TCP_KEEPINTVL) * Option(*end, IPPROTO_TCP, TCP_KEEPCNT);
    EXPECT_LE(silent, 5) << "seconds until an idle peer that vanished is noticed";
    EXPECT_EQ(Option(*end, IPPROTO_TCP, TCP_USER_TIMEOUT), 3000) << "ms that what was sent may be unanswered";
    EXPECT_NE(Option(*end, IPPROTO_TCP, TCP_NODELAY), 0);
  }
}

TEST_F(TcpSocketTest, NothingWaits) {
  EXPECT_FALSE(server.Accept().valid()) << "nobody has called";
  Join();
  for (const TcpSocket* each : {&server, &client, &accepted}) EXPECT_TRUE(NeverWaits(*each));
  char byte = 0;
  const iovec one = {&byte, 1};
  EXPECT_EQ(client.Receive({&one, 1}), 0) << "nothing has come";
  std::string much(1 << 20, 'x');
  const iovec all = {much.data(), much.size()};
  int64_t sent = 1;
  for (int i = 0; i < 1000 && sent > 0; ++i) sent = client.Send({&all, 1});
  EXPECT_EQ(sent, 0) << "nobody takes it";
  accepted = TcpSocket();
  pollfd over{client.fd(), POLLIN, 0};
  ASSERT_EQ(poll(&over, 1, 10'000), 1);
  EXPECT_LT(client.Receive({&one, 1}), 0) << "the other end is gone";
}

}  // namespace
}  // namespace baton
