#pragma once

// The wire of a worker: messages over ZeroMQ, and bytes over the fastest way that reaches the peer, chosen
// when the first read of it is posted, measured then, logged and reported. What was asked for and does not
// come up, or is slower than asked for, fails every read of the peer with the reason in words; it is looked
// at again after a while.

#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/shared_memory.h"
#include "services/kv_transfer/transport/transport.h"
#include "services/kv_transfer/transport/zmq_socket.h"

namespace baton {

// kAuto: shared memory on one host, UCX where it has RDMA to the peer, a plain TCP stream unless keys are
// configured, else ZeroMQ. A stream and UCX over TCP are in the clear.
enum class WireChoice { kAuto, kShm, kUcx, kTcp, kZmq };
// InvalidArgument names the choices.
absl::StatusOr<WireChoice> ParseWireChoice(absl::string_view name);
absl::string_view WireChoiceName(WireChoice choice);

struct FastWireOptions {
  ZmqOptions zmq;
  bool encrypted() const { return !zmq.curve_secret_key.empty() || !zmq.key_file.empty(); }
  WireChoice choice = WireChoice::kAuto;
  double min_gbps = 0;  // 1e9 bytes a second, of the probe
  // Where registered memory lies, if other processes may map it; outlive the wire.
  std::vector<const SharedMemory*> shared;
  absl::Duration probe_timeout = absl::Seconds(2);
  absl::Duration look_again = absl::Seconds(30);  // at most, at a peer that could not be reached as asked
};

// Binds. Unavailable: what was asked for is not there, in words. `clock` outlives the wire.
absl::StatusOr<std::unique_ptr<Transport>> NewFastWire(const FastWireOptions& options, const Clock* clock);

}  // namespace baton
