#include "tests/sim/event_queue.h"

#include <algorithm>
#include <utility>

namespace baton::sim {

EventQueue::EventQueue(int nodes) : nodes_(nodes) {
  heap_.reserve(256);
}

void EventQueue::At(NodeId node, MonoTime at, Action action) {
  Push(Event{std::max(at, now_), order_++, node, nodes_[node].life, std::move(action)});
}

void EventQueue::AfterAnyLife(NodeId node, absl::Duration delay, Action action) {
  Push(Event{now_ + delay, order_++, node, kAnyLife, std::move(action)});
}

void EventQueue::Push(Event event) {
  heap_.push_back(std::move(event));
  std::push_heap(heap_.begin(), heap_.end(), Later{});
}

bool EventQueue::RunOne() {
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), Later{});
    Event event = std::move(heap_.back());
    heap_.pop_back();
    now_ = event.at;
    const Node& node = nodes_[event.node];
    if (!node.alive || (event.life != kAnyLife && node.life != event.life)) continue;
    if (node.paused_until > now_) {
      event.at = node.paused_until;
      Push(std::move(event));
      continue;
    }
    ++run_;
    event.action();
    return true;
  }
  return false;
}

void EventQueue::Kill(NodeId node) {
  nodes_[node].alive = false;
  nodes_[node].paused_until = absl::InfinitePast();
}

void EventQueue::Revive(NodeId node) {
  nodes_[node].alive = true;
  ++nodes_[node].life;
}

void EventQueue::Pause(NodeId node, absl::Duration duration) {
  nodes_[node].paused_until = std::max(nodes_[node].paused_until, now_ + duration);
}

}  // namespace baton::sim
