#include "services/kv_transfer/transport/lane_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/ids.h"

namespace baton {
namespace {

constexpr int kBacklog = 64;
constexpr int kQueueBytes = 512 << 10;  // asked for; the kernel may give less
constexpr size_t kMostAtOnce = 64;

absl::Status Error(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat("lane: ", what, ": ", strerror(errno)));
}

struct Address {
  sockaddr_un un = {};
  socklen_t size = 0;
  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&un); }
};

Address AddressOf(const std::string& name) {
  Address address;
  address.un.sun_family = AF_UNIX;
  const size_t length = std::min(name.size(), sizeof address.un.sun_path - 1);
  std::memcpy(address.un.sun_path + 1, name.data(), length);  // after a zero: abstract
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  return address;
}

FileDescriptor NewSocket() {
  FileDescriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.get() >= 0) setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &kQueueBytes, sizeof kQueueBytes);
  return socket;
}

}  // namespace

absl::StatusOr<LaneSocket> LaneSocket::Connect(const std::string& name) {
  FileDescriptor socket = NewSocket();
  if (socket.get() < 0) return Error("socket");
  Address address = AddressOf(name);
  if (connect(socket.get(), address.raw(), address.size) != 0) return Error("connect");
  LaneSocket lane(std::move(socket));
  if (!lane.OfOurUser()) return absl::UnavailableError("lane: another user listens there");
  return lane;
}

bool LaneSocket::OfOurUser() const {
  ucred other = {};
  socklen_t size = sizeof other;
  return getsockopt(fd(), SOL_SOCKET, SO_PEERCRED, &other, &size) == 0 && other.uid == geteuid();
}

std::optional<size_t> LaneSocket::Send(absl::Span<const std::string> packets) const {
  size_t sent = 0;
  while (sent < packets.size()) {
    std::array<iovec, kMostAtOnce> pieces;
    std::array<mmsghdr, kMostAtOnce> messages = {};
    const size_t count = std::min(kMostAtOnce, packets.size() - sent);
    for (size_t i = 0; i < count; ++i) {
      const std::string& packet = packets[sent + i];
      pieces[i] = {const_cast<char*>(packet.data()), packet.size()};
      messages[i].msg_hdr.msg_iov = &pieces[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int done =
        sendmmsg(fd(), messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0 && (errno == EAGAIN || errno == ENOBUFS)) return sent;
    if (done < 0) return std::nullopt;
    sent += static_cast<size_t>(done);
    if (static_cast<size_t>(done) < count) return sent;
  }
  return sent;
}

LaneSocket::End LaneSocket::Receive(LaneInbox* inbox) const {
  inbox->packets_.clear();
  std::array<iovec, LaneInbox::kPackets> pieces;
  std::array<mmsghdr, LaneInbox::kPackets> messages = {};
  for (size_t i = 0; i < LaneInbox::kPackets; ++i) {
    pieces[i] = {inbox->bytes_.get() + i * LaneInbox::kMaxPacket, LaneInbox::kMaxPacket};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const int count = recvmmsg(fd(), messages.data(), LaneInbox::kPackets, MSG_DONTWAIT, nullptr);
  if (count < 0) return errno == EAGAIN || errno == EINTR ? End::kOpen : End::kClosed;
  for (int i = 0; i < count; ++i) {
    if (messages[i].msg_len == 0) return End::kClosed;
    if ((messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) return End::kMalformed;
    inbox->packets_.emplace_back(static_cast<const char*>(pieces[i].iov_base), messages[i].msg_len);
  }
  return End::kOpen;
}

absl::StatusOr<LaneListener> LaneListener::Listen() {
  FileDescriptor socket = NewSocket();
  if (socket.get() < 0) return Error("socket");
  const std::string name = absl::StrCat("baton-lane-", RandomId128().ToHex());
  Address address = AddressOf(name);
  if (bind(socket.get(), address.raw(), address.size) != 0) return Error("bind");
  if (listen(socket.get(), kBacklog) != 0) return Error("listen");
  return LaneListener(std::move(socket), name);
}

std::optional<LaneSocket> LaneListener::Accept() const {
  FileDescriptor accepted(accept4(fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (accepted.get() < 0) return std::nullopt;
  setsockopt(accepted.get(), SOL_SOCKET, SO_SNDBUF, &kQueueBytes, sizeof kQueueBytes);
  return LaneSocket(std::move(accepted));
}

}  // namespace baton
