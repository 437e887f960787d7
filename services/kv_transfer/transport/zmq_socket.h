#pragma once

// ZeroMQ sockets as RAII handles, and our frames on them:
//   [8 bytes of tag, little-endian, after 1 byte of kind][payload]
// preceded by the peer's identity on a ROUTER. One thread owns a socket.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/curve_keys.h"
#include "services/kv_transfer/transport/transport.h"

namespace baton {

struct ZmqOptions {
  std::string bind = "tcp://127.0.0.1:0";  // port 0: the system's choice; IPv6 in brackets
  std::string advertise_host;  // in endpoint(), instead of the bound one; needed when bound to a wildcard
  int io_threads = 1;
  int high_water = 512;                  // messages queued per peer and direction
  int64_t max_message_bytes = 8 << 20;   // from an owner; one that sends more is disconnected
  int64_t max_request_bytes = 64 << 10;  // from a reader, whose requests are small; likewise
  int high_water_out = 160;              // answers queued per reader: the reads and offers it may have open
  absl::Duration heartbeat = absl::Seconds(1);
  absl::Duration heartbeat_timeout = absl::Seconds(3);
  absl::Duration reconnect_min = absl::Milliseconds(20);
  absl::Duration reconnect_max = absl::Seconds(1);
  int watch_fd = -1;             // ends Poll when it is readable, besides messages and Wake()
  size_t max_peers = 1024;       // connected by us
  size_t max_accepted = 4096;    // identities remembered; full: the oldest is forgotten
  std::string curve_public_key;  // both or none, 32 bytes each: of this life of the process, as a server
  std::string curve_secret_key;
  // Both or none: then only listed identities are let in and connected to (common/curve_keys.h). Watched.
  std::string key_file, allowed_keys_file;
  absl::Duration connect_within = absl::Seconds(3);     // or a peer is gone
  absl::Duration gone_after = absl::Milliseconds(300);  // of a broken connection that is not back
  absl::Duration handshake_timeout = absl::Seconds(5);  // of those who connect to us
  size_t max_unproven = 256;  // connections to us that no frame has come over; full: the oldest is cut
};

enum class ZmqFrameKind : uint8_t { kMessage = 'M', kRead = 'R', kData = 'D', kRefused = 'X' };

// A message's bytes, owned.
class ZmqBytes {
 public:
  ZmqBytes();
  explicit ZmqBytes(size_t size);
  explicit ZmqBytes(absl::string_view bytes);
  ZmqBytes(ZmqBytes&& other) noexcept;
  ZmqBytes& operator=(ZmqBytes&& other) noexcept;
  ~ZmqBytes();
  std::byte* data();
  size_t size() const;
  absl::string_view view();
  void* raw() { return storage_; }

 private:
  alignas(8) unsigned char storage_[64];  // a zmq_msg_t
};

struct ZmqFrame {
  std::string identity;  // on a ROUTER
  std::string user;      // likewise: the text of the key that was let in; empty: no keys are asked for
  int fd = -1;           // likewise: of the connection, as it was when the frame came
  ZmqFrameKind kind = ZmqFrameKind::kMessage;
  uint64_t tag = 0;
  ZmqBytes payload;
};

// Readable when something has happened to the ZeroMQ socket. It says so once: after any use of the socket,
// whoever waits for this first takes all that has come.
int ZmqFd(void* socket);

class ZmqSocket {
 public:
  // To be bound to options.bind, or connected to `endpoint`, next.
  static absl::StatusOr<ZmqSocket> Router(void* context, const ZmqOptions& options);
  // `ours`: what we prove to a server of `server_key`; empty: no CURVE.
  static absl::StatusOr<ZmqSocket> Dealer(void* context, const ZmqOptions& options,
                                          const std::string& endpoint, const std::string& server_key,
                                          const CurvePair& ours);
  absl::Status Bind(const std::string& endpoint);
  absl::Status Connect(const std::string& endpoint);
  void* raw() const { return socket_.get(); }
  std::string LastEndpoint() const;

  // `identity` only on a ROUTER. Never waits.
  WireResult Send(const std::string& identity, ZmqFrameKind kind, uint64_t tag, ZmqBytes payload);

  enum class Received { kFrame, kNothing, kMalformed };
  // A malformed message is consumed; frame->identity names its sender if it had one.
  Received Receive(ZmqFrame* frame);

 private:
  struct Closer {
    void operator()(void* socket) const;
  };
  ZmqSocket(void* socket, bool router) : socket_(socket), router_(router) {}
  absl::Status Configure(const ZmqOptions& options, const std::string& address);
  absl::Status Set(int option, int value);
  absl::Status Set(int option, const std::string& value);

  std::unique_ptr<void, Closer> socket_;
  bool router_;
};

}  // namespace baton
