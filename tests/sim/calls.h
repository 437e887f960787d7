#pragma once

// Calls between nodes as gRPC has them: the server answers with a stream of events, in order, and an end;
// either side may learn of a break long before the other (half-open), and a stalled direction breaks once the
// keepalive has run out.

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "tests/sim/network.h"

namespace baton::sim {

class Calls {
 public:
  using Id = uint64_t;
  struct Client {
    std::function<void(absl::Status)> on_end;  // once, unless the client cancelled
  };
  struct Server {
    std::function<void(Id)> start;
    std::function<void(Id)> on_broken;         // cancelled or broken; at most once, never after End
    std::function<void(Id, int64_t)> on_sent;  // the client took events
  };

  explicit Calls(Network* network) : network_(network) {}

  Id Open(NodeId client, NodeId server, const char* what, Client client_side, Server server_side);
  bool Cancel(Id id);  // by the client: it hears nothing more; false: the call was over for it
  // By the server. `deliver` runs at the client, in order.
  void Emit(Id id, std::function<void()> deliver);
  void End(Id id, absl::Status status);

  void Break(Id id);             // by the network
  void OnNodeDied(NodeId node);  // after EventQueue::Kill
  void OnNodePaused(NodeId node, absl::Duration duration);
  void OnCut(NodeId from, NodeId to);
  void OnMended();  // some direction is whole again

  std::vector<Id> open() const;
  size_t CountExcept(absl::string_view what) const;

 private:
  struct Message {
    std::function<void()> deliver;  // empty: the end
    absl::Status status;
  };
  struct Call {
    NodeId client, server;
    const char* what;
    Client client_side;
    Server server_side;
    bool client_open = true, server_open = false;
    bool server_done = false;  // broken or ended, or will never start
    MonoTime last_to_client = absl::InfinitePast();
    std::vector<Message> held;  // the direction to the client is cut
    bool start_held = false;
  };

  void Start(Id id);
  void Carry(Id id, Call& call, Message message);
  void Receive(Id id, const Message& message);
  void ClientBreaks(Id id, absl::Duration after);
  void ServerBreaks(Id id, absl::Duration after);
  void Forget(Id id);
  absl::Duration Keepalive() { return network_->prng()->Between(absl::Seconds(4), absl::Seconds(8)); }
  void Count(const Call& call, const char* fault);

  Network* const network_;
  Id next_ = 1;
  std::map<Id, Call> calls_;
};

}  // namespace baton::sim
