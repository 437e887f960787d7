#pragma once

// Carries out what the owner and reader decide, on one wire and one process's pages. Single-threaded:
// HandoffNode gives it a thread; tests turn it by hand with a loopback wire and a manual clock.

#include <deque>
#include <map>
#include <string>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "services/kv_transfer/handoff/node.h"
#include "services/kv_transfer/handoff/owner.h"
#include "services/kv_transfer/handoff/reader.h"
#include "services/kv_transfer/handoff/types.h"
#include "services/kv_transfer/transport/transport.h"

namespace baton {

class HandoffDriver final : public WireHandler {
 public:
  // Registers every rank's pool with the wire. `memory`, `wire`, `clock` and `sink` outlive the driver.
  // InvalidArgument: a rank's pages are not consecutive in memory.
  static absl::StatusOr<std::unique_ptr<HandoffDriver>> Create(const HandoffOptions& options, Epoch epoch,
                                                               KvMemory* memory, Transport* wire,
                                                               const Clock* clock, HandoffEventSink* sink);
  void Do(const HandoffCommand& command);
  // Serves timers, then the wire: waits for it until the next timer, at most for `longest`.
  void Step(absl::Duration longest);
  MonoTime NextDeadline() const;
  // Ends everything: OwnEnded for each record, PullLost for each pull; PullFenced as far as the wire fences
  // within `patience`.
  void Shutdown(absl::Duration patience);

  HandoffNode::Stats stats() const;
  bool healthy() const { return healthy_; }
  // What the wire may write besides the pools: to be kept for as long as the wire. May be null.
  std::shared_ptr<const void> staging() const { return staging_.bytes; }
  const HandoffOwner& owner() const { return owner_; }
  const HandoffReader& reader() const { return reader_; }

  // WireHandler
  void OnMessage(PeerId from, absl::string_view message) override;
  absl::StatusOr<std::vector<ByteRange>> OnRead(PeerId from, absl::string_view grant) override;
  void OnReadDone(uint64_t tag, absl::Status status) override;
  void OnMalformed(PeerId from, absl::string_view why) override;
  void OnDenied(absl::string_view who) override;
  void OnPeerChange(PeerId peer, PeerChange change, absl::string_view why) override;

 private:
  // Room for KV of another dtype, if that is to be taken; registered with the wire behind the pools.
  struct Staging {
    std::shared_ptr<std::byte[]> bytes;
    size_t size = 0;
  };
  static absl::Status Stage(Transport* wire, ReaderOptions* reader, Staging* staging);
  HandoffDriver(OwnerOptions owner, ReaderOptions reader, Staging staging, KvMemory* memory, Transport* wire,
                const Clock* clock, HandoffEventSink* sink);

  void Handle(const OwnBegin& command) { owner_.OnBegin(command, now_, &owner_actions_); }
  void Handle(const OwnOffer& command) { owner_.OnOffer(command, now_, &owner_actions_); }
  void Handle(const OwnSeal& command) { owner_.OnSeal(command, now_, &owner_actions_); }
  void Handle(const OwnRevoke& command) { owner_.OnRevoke(command, now_, &owner_actions_); }
  void Handle(const PullBegin& command);
  void Handle(const PullCancel& command) { reader_.OnCancel(command, now_, &reader_actions_); }

  // Carries out actions until none is left.
  void Act();
  void Act(WireSend& action);
  void Act(PostPull& action);
  void Act(AbortPull& action) { wire_->Abort(action.tag); }
  void Act(VerifyUnits& action);
  void Act(ConvertUnits& action);
  void Act(ClosePeer& action);
  void Act(FenceOverdue& action);
  void Act(PullHeld& event);
  void Act(PullLost& event);
  template <typename Event>
  void Act(Event& event) {
    sink_->OnHandoffEvent(std::move(event));
  }

  // Closes a connection that no pull uses, if there is one.
  bool CloseIdlePeer();
  void ProveReader(PeerId from, v1::Open* open) const;
  void TellLoss(const HandoffId& id, const std::string& owner, const absl::Status& why);
  absl::Span<std::byte> BytesOf(const ByteRange& range);
  bool Verify(const UnitCheck& check);
  void Tick();
  void FlushAcks();

  KvMemory* const memory_;
  Transport* const wire_;
  const Clock* const clock_;
  HandoffEventSink* const sink_;
  const KvLayout layout_;
  const Staging staging_;
  MonoTime now_;
  HandoffOwner owner_;
  HandoffReader reader_;
  OwnerActions owner_actions_;
  ReaderActions reader_actions_;
  struct Address {
    std::string endpoint, public_key;
  };
  std::map<PeerId, Address> connected_;
  absl::flat_hash_map<HandoffId, std::string> pulling_from_;  // endpoints, for the log
  std::map<HandoffId, WireSend> acks_;  // the latest of each pull, sent when the wire has been served
  bool acting_ = false;
  bool healthy_ = true;
  uint64_t malformed_ = 0, denied_ = 0;
  uint64_t losses_untold_ = 0;
  MonoTime next_loss_told_ = absl::InfinitePast();
  MonoTime next_complaint_ = absl::InfinitePast();
  MonoTime next_denial_told_ = absl::InfinitePast();
};

}  // namespace baton
