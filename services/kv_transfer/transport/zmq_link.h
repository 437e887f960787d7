#pragma once

// A connection that we make: a DEALER, and whether it is up. ZeroMQ makes it anew by itself when it breaks;
// one that does not come back in time is gone. One thread.

#include <string>

#include "common/clock.h"
#include "common/curve_keys.h"
#include "services/kv_transfer/transport/zmq_monitor.h"
#include "services/kv_transfer/transport/zmq_socket.h"

namespace baton {

class ZmqLink {
 public:
  // `server_key` empty: no CURVE; `ours` is what we prove otherwise.
  static absl::StatusOr<ZmqLink> Open(void* context, const ZmqOptions& options, const std::string& endpoint,
                                      const std::string& server_key, const CurvePair& ours, MonoTime now);

  const std::string& endpoint() const { return endpoint_; }
  const std::string& server_key() const { return server_key_; }
  ZmqSocket& socket() { return socket_; }
  void* monitor() const { return monitor_.raw(); }

  enum class Change { kNone, kBroken, kBack };
  // Takes note of what has happened. Broken and back again at once: kBroken, then kBack.
  Change Look(MonoTime now);
  // When to give it up; InfiniteFuture while it is up, or once Gone said so.
  MonoTime gone_at() const { return gone_at_; }
  // True once for each time that it is given up.
  bool Gone(MonoTime now);
  const std::string& why() const { return why_; }
  // It takes the place of another one: to be up is to be back.
  void SayWhenBack() { was_up_ = true; }
  // ZeroMQ gives up where our key is not let in; lists differ for a moment while keys change. When to open a
  // link again that takes this one's place, and its time to be given up; RetryDue is true once for each.
  MonoTime retry_at() const { return retry_at_; }
  bool RetryDue(MonoTime now);
  void TakeOver(const ZmqLink& refused) {
    was_up_ = refused.was_up_;
    gone_at_ = refused.gone_at_;
    why_ = refused.why_;
  }

 private:
  ZmqLink(std::string endpoint, std::string server_key, absl::Duration gone_after, ZmqSocket socket,
          ZmqMonitor monitor)
      : endpoint_(std::move(endpoint)),
        server_key_(std::move(server_key)),
        gone_after_(gone_after),
        monitor_(std::move(monitor)),
        socket_(std::move(socket)) {}

  std::string endpoint_, server_key_;
  absl::Duration gone_after_;
  ZmqMonitor monitor_;
  ZmqSocket socket_;  // goes before its monitor
  bool up_ = false, was_up_ = false;
  MonoTime gone_at_;
  MonoTime retry_at_ = absl::InfiniteFuture();
  std::string why_;
};

}  // namespace baton
