#pragma once

// Packets between two processes of one user: SOCK_SEQPACKET Unix sockets under abstract names, which only the
// same network namespace reaches. Whole packets, in order, until one side is gone. Nothing here waits. One
// thread uses a socket.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/file_descriptor.h"

namespace baton {

// Room for what one Receive takes; shared by sockets.
class LaneInbox {
 public:
  static constexpr size_t kMaxPacket = (64 << 10) + 64;
  static constexpr size_t kPackets = 8;

  LaneInbox() : bytes_(new char[kPackets * kMaxPacket]) {}
  absl::Span<const absl::string_view> packets() const { return packets_; }  // until the next Receive

 private:
  friend class LaneSocket;
  std::unique_ptr<char[]> bytes_;
  std::vector<absl::string_view> packets_;
};

class LaneSocket {
 public:
  // Unavailable: nobody of ours listens there: another network namespace, another user, or gone.
  static absl::StatusOr<LaneSocket> Connect(const std::string& name);
  explicit LaneSocket(FileDescriptor connected) : socket_(std::move(connected)) {}

  int fd() const { return socket_.get(); }
  // Whether another process of our own user is at the other end.
  bool OfOurUser() const;
  // The first of `packets` that there is room for, all at once; how many. Nothing: the other side is gone.
  std::optional<size_t> Send(absl::Span<const std::string> packets) const;

  enum class End {
    kOpen,
    kClosed,     // after inbox->packets()
    kMalformed,  // likewise, a packet that is too large
  };
  End Receive(LaneInbox* inbox) const;

 private:
  FileDescriptor socket_;
};

class LaneListener {
 public:
  // Under a name of 128 random bits.
  static absl::StatusOr<LaneListener> Listen();
  int fd() const { return socket_.get(); }
  const std::string& name() const { return name_; }
  // The next that waits, if there is one.
  std::optional<LaneSocket> Accept() const;

 private:
  LaneListener(FileDescriptor socket, std::string name)
      : socket_(std::move(socket)), name_(std::move(name)) {}
  FileDescriptor socket_;
  std::string name_;
};

}  // namespace baton
