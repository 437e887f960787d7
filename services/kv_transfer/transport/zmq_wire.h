#pragma once

// The wire over ZeroMQ: a ROUTER that peers connect to, and a DEALER for each peer that we connect to. Reads
// are requests that the owner's thread serves, data inline; an aborted read completes at once, since its
// answer can then only be dropped.

#include <memory>

#include "services/kv_transfer/transport/transport.h"
#include "services/kv_transfer/transport/zmq_socket.h"

namespace baton {

// Binds. InvalidArgument, Unavailable: with the reason in words.
absl::StatusOr<std::unique_ptr<Transport>> NewZmqTransport(const ZmqOptions& options);

}  // namespace baton
