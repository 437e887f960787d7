#include "services/kv_transfer/transport/zmq_monitor.h"

#include <zmq.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/ids.h"
#include "services/kv_transfer/transport/zmq_socket.h"

namespace baton {
namespace {

constexpr int kEvents = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                        ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED;

ZmqMonitor::What WhatOf(uint16_t event) {
  switch (event) {
    case ZMQ_EVENT_ACCEPTED:
      return ZmqMonitor::What::kAccepted;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      return ZmqMonitor::What::kHandshaken;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      return ZmqMonitor::What::kRefused;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      return ZmqMonitor::What::kNotOurs;
    case ZMQ_EVENT_CLOSED:
      return ZmqMonitor::What::kAttemptFailed;
    case ZMQ_EVENT_DISCONNECTED:
      return ZmqMonitor::What::kDisconnected;
    default:
      return ZmqMonitor::What::kOther;
  }
}

absl::Status Error(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat("ZeroMQ: ", what, ": ", zmq_strerror(zmq_errno())));
}

}  // namespace

void ZmqMonitor::Closer::operator()(void* socket) const {
  zmq_close(socket);
}

absl::StatusOr<ZmqMonitor> ZmqMonitor::Attach(void* context, void* socket) {
  const std::string address = absl::StrCat("inproc://monitor-", RandomId128().ToHex());
  if (zmq_socket_monitor(socket, address.c_str(), kEvents) != 0) return Error("monitor");
  void* raw = zmq_socket(context, ZMQ_PAIR);
  if (raw == nullptr) return Error("socket of a monitor");
  ZmqMonitor monitor(raw);
  const int no_linger = 0;
  zmq_setsockopt(raw, ZMQ_LINGER, &no_linger, sizeof no_linger);
  if (zmq_connect(raw, address.c_str()) != 0) return Error("connect to a monitor");
  return monitor;
}

std::optional<ZmqMonitor::Event> ZmqMonitor::Next() {
  ZmqBytes head, address;
  auto* message = static_cast<zmq_msg_t*>(head.raw());
  if (zmq_msg_recv(message, raw(), ZMQ_DONTWAIT) < 0) return std::nullopt;
  if (zmq_msg_more(message) != 0) zmq_msg_recv(static_cast<zmq_msg_t*>(address.raw()), raw(), ZMQ_DONTWAIT);
  Event event;
  uint16_t number = 0;
  uint32_t value = 0;
  if (head.size() == sizeof number + sizeof value) {
    std::memcpy(&number, head.data(), sizeof number);
    std::memcpy(&value, head.data() + sizeof number, sizeof value);
    event = {WhatOf(number), static_cast<int>(value)};
  }
  return event;
}

}  // namespace baton
