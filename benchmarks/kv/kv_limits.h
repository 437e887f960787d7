#pragma once

// What the machine does without us: bytes through a plain TCP socket between two processes, and UCX's own
// benchmark.

#include <cstddef>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace baton {

class RawSocket {
 public:
  // Forks a process that writes, in pieces of a MiB; make no thread before.
  static absl::StatusOr<std::unique_ptr<RawSocket>> Start();
  ~RawSocket();
  // Receives `bytes` bytes into `memory`, over and over; the seconds that it took.
  double Seconds(size_t bytes, absl::Span<std::byte> memory);

 private:
  RawSocket(int child, int socket) : child_(child), socket_(socket) {}
  int child_, socket_;
};

// `ucx_perftest -t tag_bw` of 1 MiB over TCP between two processes, 1e9 bytes a second; nothing if it isn't
// installed.
std::optional<double> UcxTaggedGbps();

// From the moment at which one thread wakes another that sleeps to the moment at which that one runs: the
// median. Open to held has 6 of them, one after the other: its four messages over a lane wake one thread
// each, the caller wakes the reader, and the reader the caller. Over ZeroMQ, whose own threads are woken
// besides, they are 14.
double WakeSeconds();

}  // namespace baton
