#include "tests/sim/network.h"

#include <utility>

namespace baton::sim {

Network::Network(EventQueue* queue, Prng prng, Coverage* coverage, Trace* trace, int nodes)
    : queue_(queue),
      prng_(prng),
      coverage_(coverage),
      trace_(trace),
      nodes_(nodes),
      cut_(static_cast<size_t>(nodes) * nodes) {}

void Network::Count(const char* what, const char* fault) {
  coverage_->Hit(absl::StrCat("wire/", what, "/", fault));
  trace_->Add(queue_->now(), "network", fault, what);
}

void Network::Send(NodeId from, NodeId to, const char* what, bool has_bytes,
                   std::function<void(uint64_t corruption)> deliver) {
  if (IsCut(from, to)) return Count(what, "cut off");
  if (prng_.Chance(faults_.loss)) return Count(what, "lost");
  if (prng_.Chance(faults_.duplicate)) {
    Count(what, "duplicated");
    Deliver(to, deliver, what, has_bytes);
  }
  Deliver(to, deliver, what, has_bytes);
}

void Network::Deliver(NodeId to, const std::function<void(uint64_t)>& deliver, const char* what,
                      bool has_bytes) {
  absl::Duration delay = Delay();
  if (prng_.Chance(faults_.late)) {
    Count(what, "late");
    delay += prng_.Between(absl::Milliseconds(1), faults_.very_late);
  }
  uint64_t corruption = 0;
  if (has_bytes && prng_.Chance(faults_.corrupt)) {
    Count(what, "corrupted");
    corruption = prng_.Next() | 1;
  }
  queue_->AfterAnyLife(to, delay, [deliver, corruption] { deliver(corruption); });
}

void Network::Heal() {
  cut_.assign(cut_.size(), false);
  faults_ = LinkFaults{};
}

}  // namespace baton::sim
