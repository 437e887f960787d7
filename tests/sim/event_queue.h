#pragma once

// Virtual time. Events run in order of time, then of scheduling. An event belongs to a node's life: it is
// dropped once that life is over (crash), and waits while the node is paused, as messages wait in a stopped
// process's sockets. Every node has a monotonic clock of its own, offset from the world's, so that a time
// that crosses the wire is found out.

#include <cstdint>
#include <functional>
#include <vector>

#include "common/clock.h"

namespace baton::sim {

using NodeId = int;
inline constexpr NodeId kWorld = 0;  // never dies nor pauses

class EventQueue {
 public:
  using Action = std::function<void()>;

  explicit EventQueue(int nodes);

  MonoTime now() const { return now_; }
  uint64_t events_run() const { return run_; }

  // The node's own clock.
  MonoTime NodeNow(NodeId node) const { return now_ + nodes_[node].clock_offset; }
  MonoTime FromNodeTime(NodeId node, MonoTime at) const { return at - nodes_[node].clock_offset; }
  void SetClockOffset(NodeId node, absl::Duration offset) { nodes_[node].clock_offset = offset; }

  // Runs `action` on `node` at `at` (not before now), unless the life it has now ends first.
  void At(NodeId node, MonoTime at, Action action);
  void After(NodeId node, absl::Duration delay, Action action) { At(node, now_ + delay, std::move(action)); }
  // The same for whichever life the node has by then: a packet to an address, not to a process.
  void AfterAnyLife(NodeId node, absl::Duration delay, Action action);

  // Runs the next event; false if there is none.
  bool RunOne();

  void Kill(NodeId node);    // its events are dropped
  void Revive(NodeId node);  // a new life
  void Pause(NodeId node, absl::Duration duration);
  bool alive(NodeId node) const { return nodes_[node].alive; }
  bool paused(NodeId node) const { return nodes_[node].paused_until > now_; }
  MonoTime paused_until(NodeId node) const { return nodes_[node].paused_until; }

 private:
  static constexpr uint32_t kAnyLife = 0;
  struct Node {
    uint32_t life = 1;
    bool alive = true;
    MonoTime paused_until = absl::InfinitePast();
    absl::Duration clock_offset = absl::ZeroDuration();
  };
  struct Event {
    MonoTime at;
    uint64_t order;
    NodeId node;
    uint32_t life;  // kAnyLife: whichever it is by then
    Action action;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };

  void Push(Event event);

  MonoTime now_ = absl::UnixEpoch();
  uint64_t order_ = 0;
  uint64_t run_ = 0;
  std::vector<Node> nodes_;
  std::vector<Event> heap_;
};

}  // namespace baton::sim
