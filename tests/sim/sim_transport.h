#pragma once

// A Transport over the simulated network. Reads behave as the contract allows and no better: bytes land in
// pieces, at any time until the completion, also after Abort; a lost read never completes by itself; either
// may be answered kBusy.

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "services/kv_transfer/transport/transport.h"
#include "tests/sim/network.h"

namespace baton::sim {

class SimTransport;

// Which transport lives at each node now.
class TransportHub {
 public:
  TransportHub(Network* network, int nodes) : network_(network), at_(nodes) {}
  void Attach(NodeId node, SimTransport* transport) { at_[node] = transport; }
  void Detach(NodeId node) { at_[node] = nullptr; }
  SimTransport* At(NodeId node) { return at_[node]; }
  Network* network() { return network_; }
  uint64_t NextConnection() { return next_connection_++; }
  static std::string EndpointOf(NodeId node) { return absl::StrCat("sim:", node); }

  int busy_per_mille = 0;        // of sends and reads
  int slow_fence_per_mille = 0;  // of aborts: the completion, and with it late bytes, take long
  absl::Duration slow_fence = absl::Seconds(2);
  bool early_fence = false;  // a mutation: an aborted read completes before its last bytes land

 private:
  Network* const network_;
  std::vector<SimTransport*> at_;
  uint64_t next_connection_ = 1;
};

class SimTransport final : public Transport {
 public:
  // `wake` is called when Poll has something to deliver.
  SimTransport(TransportHub* hub, NodeId node, std::function<void()> wake);
  ~SimTransport() override;

  absl::string_view name() const override { return "sim"; }
  const std::string& endpoint() const override { return endpoint_; }
  const std::string& public_key() const override { return public_key_; }
  absl::StatusOr<RegionId> Register(absl::Span<std::byte> memory) override;
  std::string RemoteKey(RegionId) const override { return ""; }
  void UnregisterAll() override { regions_.clear(); }
  absl::StatusOr<PeerId> Connect(const std::string& endpoint, const std::string& public_key) override;
  void Disconnect(PeerId peer) override;
  WireResult Send(PeerId peer, absl::string_view message) override;
  WireResult PostReads(ReadBatch batch) override;
  void Abort(uint64_t tag) override;
  void Poll(absl::Duration timeout, WireHandler* handler) override;
  void Wake() override { wake_(); }

  size_t reads_open() const { return reads_.size(); }

 private:
  struct Peer {
    NodeId node;
    uint64_t connection;
    bool ours;  // we connected
  };
  struct Read {
    ReadBatch batch;
    bool landing = false;
    bool aborted = false;
    bool reported = false;  // early_fence: completed too soon
  };
  struct Incoming {
    enum class Kind { kMessage, kRead, kDone } kind;
    PeerId from = 0;
    std::string text;  // message or grant
    uint64_t tag = 0;
    absl::Status status;
  };

  PeerId PeerOf(NodeId node, uint64_t connection, bool ours);
  void ReceiveMessage(NodeId from, uint64_t connection, bool ours, const std::string& message);
  void ReceiveRead(NodeId from, uint64_t connection, uint64_t tag, const std::string& grant);
  void AnswerRead(const Incoming& read, WireHandler* handler);
  void ReceiveBytes(uint64_t tag, const absl::Status& status, std::string bytes);
  void Land(uint64_t tag, const std::string& bytes, size_t piece, size_t pieces);
  void Complete(uint64_t tag, absl::Status status);
  void Push(Incoming incoming);
  bool Busy();

  TransportHub* const hub_;
  const NodeId node_;
  const std::string endpoint_;
  const std::string public_key_;
  const std::function<void()> wake_;
  std::vector<absl::Span<std::byte>> regions_;
  PeerId next_peer_ = 1;
  std::map<PeerId, Peer> peers_;
  std::map<uint64_t, Read> reads_;
  std::deque<Incoming> inbox_;
};

}  // namespace baton::sim
