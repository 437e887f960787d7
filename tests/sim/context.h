#pragma once

// What every part of a world shares.

#include <functional>
#include <string>
#include <utility>

#include "tests/sim/calls.h"
#include "tests/sim/checker.h"
#include "tests/sim/coverage.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/network.h"
#include "tests/sim/options.h"
#include "tests/sim/sim_transport.h"
#include "tests/sim/trace.h"

namespace baton::sim {

struct Context {
  const WorldOptions* options;
  EventQueue* queue;
  Network* network;
  Calls* calls;
  TransportHub* hub;
  Coverage* coverage;
  Trace* trace;
  Checker* checker;

  template <typename... Details>
  void Note(const std::string& who, absl::string_view what, const Details&... details) const {
    trace->Add(queue->now(), who, what, details...);
  }
  bool Mutated(Mutation mutation) const { return options->mutation == mutation; }
};

// A thread of a process as the others see it: what is posted runs later, in order.
class Strand {
 public:
  Strand(const Context& context, NodeId node) : context_(context), node_(node) {}

  void Post(EventQueue::Action action) { PostAfter(absl::ZeroDuration(), std::move(action)); }
  void PostAfter(absl::Duration delay, EventQueue::Action action) {
    EventQueue& queue = *context_.queue;
    const absl::Duration hop = absl::Microseconds(context_.network->prng()->Range(1, 60));
    last_ = std::max(last_, queue.now() + delay + hop);
    queue.At(node_, last_, std::move(action));
  }

 private:
  const Context& context_;
  const NodeId node_;
  MonoTime last_ = absl::InfinitePast();
};

}  // namespace baton::sim
