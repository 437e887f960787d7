#pragma once

// The owner's end of byte streams: who shows the token is served the ranges that its grants stand for,
// straight from the registered memory. A grant is looked at when its turn comes, and not again while its
// bytes leave; a request that is cancelled before its turn is dropped. Bounded: connections, those without a
// token and for how long, grants queued; a reader that asks for more waits in its socket.

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "common/clock.h"
#include "services/kv_transfer/transport/regions.h"
#include "services/kv_transfer/transport/stream_frames.h"
#include "services/kv_transfer/transport/tcp_socket.h"
#include "services/kv_transfer/transport/watch.h"
#include "services/kv_transfer/transport/zmq_socket.h"

namespace baton {

class StreamServer {
 public:
  // On the host of `endpoint`'s socket (options.bind), any port. `regions` and `watch` outlive it.
  static absl::StatusOr<std::unique_ptr<StreamServer>> Listen(const ZmqOptions& options,
                                                              const Regions* regions, const Watch* watch);
  ~StreamServer();

  // "host:port" for readers; the host is numeric, for those who know us by a name.
  const std::string& address() const { return address_; }
  const Id128& token() const { return token_; }

  // Accepts, reads and serves, a bounded amount. Returns whether there is more to do at once.
  bool Progress(MonoTime now, WireHandler* handler);
  // Ends every connection; answers on their way are cut off.
  void DropReaders();

 private:
  struct Request {
    StreamFrameHeader header;
    std::string grant;
  };
  struct Reader {
    TcpSocket socket;
    PeerId peer = 0;
    MonoTime since;
    bool known = false;    // showed the token
    bool blocked = false;  // its socket takes no more
    bool full = false;     // no more is taken from its socket
    std::string in;
    std::deque<Request> asked;
    // The answer on its way: `head`, then `ranges` from `range` and `skip` on; zeros for a probe.
    std::string head;
    size_t head_sent = 0;
    std::vector<ByteRange> ranges;
    size_t range = 0;
    uint64_t skip = 0;
    uint64_t zeros = 0;
    bool answering() const { return head_sent < head.size() || range < ranges.size() || zeros > 0; }
  };

  StreamServer(TcpSocket listener, std::string address, const Regions* regions, const Watch* watch);
  // Returns whether there may be more.
  bool Accept(MonoTime now);
  void DropOldestStranger();
  // false: the connection is over.
  bool Receive(Reader& reader, WireHandler* handler);
  bool Parse(Reader& reader, WireHandler* handler);
  bool Serve(Reader& reader, size_t* budget, WireHandler* handler);
  void Answer(Reader& reader, WireHandler* handler);
  std::vector<iovec> Parts(const Reader& reader, size_t most) const;
  static void Advance(Reader& reader, uint64_t sent);

  const TcpSocket listener_;
  const std::string address_;
  const Id128 token_;
  const Regions* const regions_;
  const Watch* const watch_;
  std::map<int, Reader> readers_;  // by descriptor
  PeerId last_peer_ = PeerId{1} << 62;
};

}  // namespace baton
