#pragma once

// The wires between nodes. Datagrams (the handoff's messages and bytes) may be lost, late, repeated,
// reordered or, where they carry bytes, corrupted; calls (tests/sim/calls.h) are ordered and break instead. A
// direction between two nodes can be cut: datagrams then vanish, calls stall until it heals or a keepalive
// breaks them.

#include <cstdint>
#include <functional>
#include <vector>

#include "tests/sim/coverage.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/prng.h"
#include "tests/sim/trace.h"

namespace baton::sim {

// Chances are per mille of datagrams.
struct LinkFaults {
  int loss = 0;
  int duplicate = 0;
  int late = 0;     // delayed by up to `very_late`, so that others overtake it
  int corrupt = 0;  // of those that carry bytes
  absl::Duration delay_min = absl::Microseconds(20);
  absl::Duration delay_max = absl::Microseconds(400);
  absl::Duration very_late = absl::Seconds(3);
};

class Network {
 public:
  Network(EventQueue* queue, Prng prng, Coverage* coverage, Trace* trace, int nodes);

  // Carries a datagram of kind `what` (a name with static life). `deliver` runs at the receiver, whoever
  // lives there by then, once per copy that arrives; its argument is not zero if the copy's bytes shall be
  // corrupted, and says how.
  void Send(NodeId from, NodeId to, const char* what, bool has_bytes,
            std::function<void(uint64_t corruption)> deliver);

  void SetFaults(const LinkFaults& faults) { faults_ = faults; }
  absl::Duration Delay() { return prng_.Between(faults_.delay_min, faults_.delay_max); }

  void Cut(NodeId from, NodeId to) { cut_[Index(from, to)] = true; }
  // All faults end, the past ones' late packets excepted.
  void Heal();
  void Mend(NodeId from, NodeId to) { cut_[Index(from, to)] = false; }
  bool IsCut(NodeId from, NodeId to) const { return cut_[Index(from, to)]; }

  EventQueue* queue() { return queue_; }
  Trace* trace() { return trace_; }
  Coverage* coverage() { return coverage_; }
  Prng* prng() { return &prng_; }

 private:
  size_t Index(NodeId from, NodeId to) const { return static_cast<size_t>(from) * nodes_ + to; }
  void Deliver(NodeId to, const std::function<void(uint64_t)>& deliver, const char* what, bool has_bytes);
  void Count(const char* what, const char* fault);

  EventQueue* const queue_;
  Prng prng_;
  Coverage* const coverage_;
  Trace* const trace_;
  const int nodes_;
  LinkFaults faults_;
  std::vector<bool> cut_;
};

}  // namespace baton::sim
