#pragma once

// What happens to a ZeroMQ socket's connections, as events to be polled. One thread uses it, the one of the
// socket. It is to be drained as often as the socket: ZeroMQ's own thread waits while 1000 events do.

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace baton {

class ZmqMonitor {
 public:
  enum class What {
    kAccepted,       // `value`: the descriptor
    kHandshaken,     // both sides are proven and speak the same
    kRefused,        // the other side does not let our key in
    kNotOurs,        // the other side speaks another protocol, or proves another key, or went during it
    kAttemptFailed,  // to connect
    kDisconnected,   // `value`: the descriptor
    kOther,
  };
  struct Event {
    What what = What::kOther;
    int value = 0;
  };

  // Of a socket that is neither bound nor connected yet. Goes after the socket's ZmqSocket, which
  // ends it: events that nobody takes would stop ZeroMQ's own thread, and with it every connection.
  static absl::StatusOr<ZmqMonitor> Attach(void* context, void* socket);
  void* raw() const { return socket_.get(); }  // readable when there are events
  std::optional<Event> Next();

 private:
  struct Closer {
    void operator()(void* socket) const;
  };
  explicit ZmqMonitor(void* socket) : socket_(socket) {}
  std::unique_ptr<void, Closer> socket_;
};

}  // namespace baton
