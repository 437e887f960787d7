#include "benchmarks/kv/kv_limits.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "common/clock.h"

namespace baton {
namespace {

constexpr size_t kPiece = 1 << 20;

// Writes as many bytes as it is asked for, until the socket closes.
void Write(int socket) {
  std::vector<char> from(64 << 20, 'x');
  uint64_t asked = 0;
  while (recv(socket, &asked, sizeof asked, MSG_WAITALL) == sizeof asked) {
    size_t at = 0;
    while (asked > 0) {
      if (at + kPiece > from.size()) at = 0;
      const ssize_t sent = send(socket, from.data() + at, std::min<size_t>(asked, kPiece), MSG_NOSIGNAL);
      if (sent <= 0) return;
      asked -= static_cast<uint64_t>(sent);
      at += static_cast<size_t>(sent);
    }
  }
}

int Listener(sockaddr_in* address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  *address = {};
  address->sin_family = AF_INET;
  address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof *address;
  auto* const raw = reinterpret_cast<sockaddr*>(address);
  if (fd < 0 || bind(fd, raw, size) != 0 || listen(fd, 1) != 0 || getsockname(fd, raw, &size) != 0) return -1;
  return fd;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RawSocket>> RawSocket::Start() {
  sockaddr_in address;
  const int listener = Listener(&address);
  if (listener < 0) return absl::UnavailableError("no TCP socket");
  const int child = fork();
  if (child == 0) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) Write(fd);
    _exit(0);
  }
  const int fd = accept(listener, nullptr, nullptr);
  close(listener);
  if (child < 0 || fd < 0) return absl::UnavailableError("no TCP connection");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return std::unique_ptr<RawSocket>(new RawSocket(child, fd));
}

RawSocket::~RawSocket() {
  close(socket_);
  waitpid(child_, nullptr, 0);
}

double RawSocket::Seconds(size_t bytes, absl::Span<std::byte> memory) {
  const SteadyClock clock;
  const MonoTime begun = clock.Now();
  const uint64_t asked = bytes;
  if (send(socket_, &asked, sizeof asked, MSG_NOSIGNAL) != sizeof asked) return 0;
  for (size_t at = 0; bytes > 0;) {
    if (at + kPiece > memory.size()) at = 0;
    const ssize_t got = recv(socket_, memory.data() + at, std::min({bytes, kPiece, memory.size() - at}), 0);
    if (got <= 0) return 0;
    bytes -= static_cast<size_t>(got);
    at += static_cast<size_t>(got);
  }
  return absl::ToDoubleSeconds(clock.Now() - begun);
}

std::optional<double> UcxTaggedGbps() {
  if (std::system("command -v ucx_perftest >/dev/null 2>&1") != 0) return std::nullopt;
  const int port = 20000 + getpid() % 20000;
  const std::string common =
      absl::StrCat("UCX_TLS=tcp UCX_NET_DEVICES=lo UCX_LOG_LEVEL=fatal timeout 30 ucx_perftest -p ", port);
  if (std::system(absl::StrCat(common, " >/dev/null 2>&1 &").c_str()) != 0) return std::nullopt;
  absl::Notification never;
  never.WaitForNotificationWithTimeout(absl::Milliseconds(700));
  FILE* const out = popen(
      absl::StrCat(common, " 127.0.0.1 -t tag_bw -s 1048576 -n 1000 -w 50 -f 2>/dev/null").c_str(), "r");
  if (out == nullptr) return std::nullopt;
  std::string last;
  for (char line[512]; std::fgets(line, sizeof line, out) != nullptr;) last = line;
  if (pclose(out) != 0) return std::nullopt;
  // [iterations, 50%, average, overall latency, average, overall MiB/s, average, overall rate]
  const std::vector<std::string> words = absl::StrSplit(last, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  double mebibytes = 0;
  if (words.size() != 8 || !absl::SimpleAtod(words[5], &mebibytes)) return std::nullopt;
  return mebibytes * (1 << 20) / 1e9;
}

double WakeSeconds() {
  constexpr int kTrips = 400;
  const SteadyClock clock;
  const int there = eventfd(0, EFD_CLOEXEC), back = eventfd(0, EFD_CLOEXEC);
  uint64_t count = 0;
  std::thread other([&] {
    uint64_t heard = 0;
    for (int i = 0; i < kTrips && eventfd_read(there, &heard) == 0; ++i) (void)eventfd_write(back, 1);
  });
  std::vector<double> halves;
  for (int i = 0; i < kTrips; ++i) {
    const MonoTime begun = clock.Now();
    if (eventfd_write(there, 1) != 0 || eventfd_read(back, &count) != 0) break;
    halves.push_back(absl::ToDoubleSeconds(clock.Now() - begun) / 2);
  }
  other.join();
  close(there);
  close(back);
  std::nth_element(halves.begin(), halves.begin() + halves.size() / 2, halves.end());
  return halves.empty() ? 0 : halves[halves.size() / 2];
}

}  // namespace baton
