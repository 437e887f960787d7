#pragma once

// The wire of zmq_wire.h: its sockets, who is connected, and the reads under way. zmq_wire.cc makes and ends
// connections, zmq_node_poll.cc takes and serves what comes.

#include <zmq.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "services/kv_transfer/transport/regions.h"
#include "services/kv_transfer/transport/wake_fd.h"
#include "services/kv_transfer/transport/zmq_gate.h"
#include "services/kv_transfer/transport/zmq_guests.h"
#include "services/kv_transfer/transport/zmq_link.h"
#include "services/kv_transfer/transport/zmq_monitor.h"
#include "services/kv_transfer/transport/zmq_watch.h"

namespace baton {

struct ZmqContextCloser {
  void operator()(void* context) const { zmq_ctx_term(context); }
};

class ZmqNode final : public Transport {
 public:
  ZmqNode(const ZmqOptions& options, void* context)
      : options_(options), context_(context), guests_(options.max_accepted, options.max_unproven) {}

  absl::Status Start();

  absl::string_view name() const override { return "zmq"; }
  bool VerifiesReads() const override { return true; }
  const std::string& endpoint() const override { return endpoint_; }
  const std::string& public_key() const override { return gate_->public_key(); }
  std::string PeerName(PeerId peer) const override { return ZmqGate::NameIn(guests_.UserOf(peer)); }
  bool Knows(PeerId peer) const override {
    return dealers_.contains(peer) || guests_.IdentityOf(peer) != nullptr;
  }

  absl::StatusOr<RegionId> Register(absl::Span<std::byte> memory) override { return regions_.Add(memory); }
  std::string RemoteKey(RegionId) const override { return ""; }
  void UnregisterAll() override { regions_.Clear(); }

  absl::StatusOr<PeerId> Connect(const std::string& endpoint, const std::string& public_key) override;
  void Disconnect(PeerId peer) override;
  WireResult Send(PeerId peer, absl::string_view message) override {
    return SendFrame(peer, ZmqFrameKind::kMessage, 0, ZmqBytes(message));
  }
  WireResult PostReads(ReadBatch batch) override;
  void Abort(uint64_t tag) override {
    if (reads_.erase(tag) != 0) done_.emplace_back(tag, absl::CancelledError("aborted"));
  }
  void Poll(absl::Duration timeout, WireHandler* handler) override;
  void Wake() override { wake_.Wake(); }

 private:
  struct Dealer {
    ZmqLink link;
    std::string public_key;  // as given to Connect
    int socket_fd = -1, monitor_fd = -1;
  };

  WireResult SendFrame(PeerId peer, ZmqFrameKind kind, uint64_t tag, ZmqBytes payload);
  void EndReads(PeerId peer, const absl::Status& status);
  // Serves timers: looks at the key files, gives up peers. The time until there is something to do again.
  absl::Duration ServeTimers(WireHandler* handler);
  void OnKeysChanged(WatchedKeys::Change change, WireHandler* handler);
  void ProveAnew(PeerId peer, Dealer& dealer);
  void Retry(PeerId peer, Dealer& dealer);
  void Follow(PeerId peer, Dealer& dealer);
  void Unfollow(const Dealer& dealer);
  // Takes what `source` has; whether it has nothing more.
  bool Drain(const ZmqWatch::Source& source, WireHandler* handler);
  void DrainAll(const std::vector<ZmqWatch::Source>& sources, WireHandler* handler);
  void WatchGuests(WireHandler* handler);
  void WatchDealer(PeerId peer, WireHandler* handler);
  bool DrainRouter(WireHandler* handler);
  bool DrainDealer(PeerId peer, WireHandler* handler);
  void Serve(PeerId from, ZmqFrame& frame, WireHandler* handler);
  void Land(PeerId from, ZmqFrame& frame);
  void ReportDone(WireHandler* handler);

  const ZmqOptions options_;
  const SteadyClock clock_;
  const std::unique_ptr<void, ZmqContextCloser> context_;
  std::unique_ptr<ZmqGate> gate_;  // outlives the sockets
  std::optional<ZmqMonitor> router_monitor_;
  std::optional<ZmqSocket> router_;
  int router_fd_ = -1;
  std::string endpoint_;
  const WakeFd wake_;
  ZmqWatch watch_;
  Regions regions_;
  PeerId last_peer_ = 0;
  ZmqGuests guests_;
  std::map<PeerId, Dealer> dealers_;
  std::map<uint64_t, ReadBatch> reads_;  // posted and not complete, by tag
  std::deque<std::pair<uint64_t, absl::Status>> done_;
  uint64_t taken_ = 0;  // frames and events of connections
};

}  // namespace baton
