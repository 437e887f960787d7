#pragma once

// Waits for many ZeroMQ sockets, and plain descriptors beside them, at the cost of those that have something:
// zmq_poll asks every socket twice, at two system calls each. A ZeroMQ socket's descriptor tells news only
// once, and any use of the socket may take it away; so a socket that was used is *touched*, and is to be
// drained until it has nothing before anybody waits. One thread.

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "services/kv_transfer/transport/transport.h"
#include "services/kv_transfer/transport/watch.h"

namespace baton {

class ZmqWatch {
 public:
  enum class What { kWake, kOutside, kHandshakes, kRouter, kGuests, kDealer, kLink };
  struct Source {
    What what = What::kWake;
    PeerId peer = 0;  // of a kDealer, which is its messages, and a kLink, which is its connection's events
    int fd = -1;
  };

  bool ok() const { return watch_.fd() >= 0; }
  // The descriptor that stands for it from now on.
  int AddSocket(void* zmq_socket, What what, PeerId peer = 0);
  void AddPlain(int fd, What what);
  // Before the socket is closed.
  void Remove(int fd);

  // The socket was used, and not drained after that.
  void Touch(int fd) {
    if (sources_.contains(fd)) touched_.insert(fd);
  }
  bool touched() const { return !touched_.empty(); }
  // All of them, once.
  std::vector<Source> TakeTouched();
  // What has news; waits up to `timeout` for some, unless something is touched.
  std::vector<Source> Wait(absl::Duration timeout);
  // Whether it is still watched: handling one source may remove another.
  bool Has(const Source& source) const;

 private:
  Watch watch_;
  std::map<int, Source> sources_;  // by descriptor
  std::set<int> touched_;
};

}  // namespace baton
