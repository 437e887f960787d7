#pragma once

// A wire, of ZeroMQ unless given, and what it was told, for tests of connections.

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "services/kv_transfer/transport/zmq_wire.h"

namespace baton::testing {

class WireParty final : public WireHandler {
 public:
  explicit WireParty(const ZmqOptions& options) : wire(*NewZmqTransport(options)) {}
  explicit WireParty(std::unique_ptr<Transport> any) : wire(std::move(any)) {}

  void OnMessage(PeerId from, absl::string_view message) override { messages.emplace_back(from, message); }
  absl::StatusOr<std::vector<ByteRange>> OnRead(PeerId, absl::string_view) override {
    ++reads;
    return absl::PermissionDeniedError("no");
  }
  void OnReadDone(uint64_t tag, absl::Status status) override { done[tag] = status; }
  void OnMalformed(PeerId, absl::string_view) override { ++malformed; }
  void OnDenied(absl::string_view who) override { denied.emplace_back(who); }
  void OnPeerChange(PeerId peer, PeerChange change, absl::string_view why) override {
    changes.push_back({peer, change, std::string(why)});
  }

  bool Heard(const std::string& text) const {
    for (const auto& [from, message] : messages) {
      if (message == text) return true;
    }
    return false;
  }
  bool Saw(PeerId peer, PeerChange change) const {
    for (const Told& told : changes) {
      if (told.peer == peer && told.change == change) return true;
    }
    return false;
  }

  struct Told {
    PeerId peer;
    PeerChange change;
    std::string why;
  };
  std::unique_ptr<Transport> wire;
  std::vector<std::pair<PeerId, std::string>> messages;
  std::map<uint64_t, absl::Status> done;
  std::vector<std::string> denied;
  std::vector<Told> changes;
  int reads = 0, malformed = 0;
};

// Polls all until `done` holds; false after `patience`.
template <typename Done>
bool PollUntil(const std::vector<WireParty*>& parties, Done done,
               absl::Duration patience = absl::Seconds(15)) {
  const SteadyClock clock;
  const MonoTime until = clock.Now() + patience;
  while (!done() && clock.Now() < until) {
    for (WireParty* party : parties) {
      if (party->wire != nullptr) party->wire->Poll(absl::Milliseconds(1), party);
    }
  }
  return done();
}

}  // namespace baton::testing
