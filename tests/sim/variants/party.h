#pragma once

// A process with both sides of the handoff, built of the edited copies: HandoffDriver without its logs, which
// tells a spy what it sends and what it answers.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "common/checksum.h"
#include "services/kv_transfer/handoff/owner.h"
#include "services/kv_transfer/handoff/reader.h"
#include "services/kv_transfer/transport/loopback.h"
#include "tests/unit/services/kv_transfer/test_kv.h"

namespace baton::testing {

class Party final : public WireHandler {
 public:
  struct Spy {
    std::function<void(HandoffEvent)> on_event;
    // What is sent, and the Open that it may answer.
    std::function<void(PeerId to, const v1::Handoff& sent, const v1::Handoff* heard)> on_send;
  };

  Party(const std::string& endpoint, Epoch epoch, OwnerOptions owner, ReaderOptions reader,
        LoopbackNetwork* network, const Clock* clock, TestMemory* memory, Spy spy)
      : clock_(clock),
        memory_(memory),
        spy_(std::move(spy)),
        wire_(network->NewTransport(endpoint)),
        epoch_(epoch),
        owner_(std::move(owner)),
        reader_(std::move(reader)) {
    (void)wire_->Register({memory_->Page(0, 0).data(), memory_->layout().PageBytes() * memory_->pages(0)});
  }

  void Do(const HandoffCommand& command) {
    std::visit([this](const auto& c) { Handle(c); }, command);
    Act();
  }
  void Step() {
    if (owner_.NextDeadline() <= Now()) owner_.OnTick(Now(), &owner_actions_);
    if (reader_.NextDeadline() <= Now()) reader_.OnTick(Now(), &reader_actions_);
    Act();
    wire_->Poll(absl::ZeroDuration(), this);
  }
  MonoTime NextDeadline() const { return std::min(owner_.NextDeadline(), reader_.NextDeadline()); }
  Epoch epoch() const { return epoch_; }
  const HandoffOwner& owner() const { return owner_; }
  const HandoffReader& reader() const { return reader_; }
  bool overdue() const { return overdue_; }

 private:
  MonoTime Now() const { return clock_->Now(); }
  void Handle(const OwnBegin& c) { owner_.OnBegin(c, Now(), &owner_actions_); }
  void Handle(const OwnOffer& c) { owner_.OnOffer(c, Now(), &owner_actions_); }
  void Handle(const OwnSeal& c) { owner_.OnSeal(c, Now(), &owner_actions_); }
  void Handle(const OwnRevoke& c) { owner_.OnRevoke(c, Now(), &owner_actions_); }
  void Handle(const PullCancel& c) { reader_.OnCancel(c, Now(), &reader_actions_); }
  void Handle(const PullBegin& c) {
    const absl::StatusOr<PeerId> peer = wire_->Connect(c.owner.endpoint, "");
    if (!peer.ok()) return reader_actions_.push_back(PullLost{c.id, peer.status(), true});
    owner_endpoint_ = c.owner.endpoint;
    reader_.OnBegin(c, *peer, Now(), &reader_actions_);
  }

  void OnMessage(PeerId from, absl::string_view message) override {
    const auto parsed = ParseHandoff(message);
    if (!parsed.has_value()) return;
    heard_ = &*parsed;
    switch (parsed->verb_case()) {
      case v1::Handoff::kOpen:
      case v1::Handoff::kOfferAck:
      case v1::Handoff::kRenew:
      case v1::Handoff::kConfirm:
      case v1::Handoff::kRelease:
        owner_.OnMessage(from, *parsed, Now(), &owner_actions_);
        break;
      default:
        reader_.OnMessage(from, *parsed, Now(), &reader_actions_);
    }
    Act();
    heard_ = nullptr;
  }
  absl::StatusOr<std::vector<ByteRange>> OnRead(PeerId, absl::string_view grant) override {
    const auto parsed = ParseHandoff(grant);
    if (!parsed.has_value()) return absl::InvalidArgumentError("not a Pull");
    return owner_.OnPull(*parsed, Now());
  }
  void OnReadDone(uint64_t tag, absl::Status status) override {
    reader_.OnReadDone(tag, status, Now(), &reader_actions_);
    Act();
  }
  void OnMalformed(PeerId, absl::string_view) override {}

  void Act() {
    if (std::exchange(acting_, true)) return;
    while (!owner_actions_.empty() || !reader_actions_.empty()) {
      for (OwnerAction& action : std::exchange(owner_actions_, {})) {
        std::visit([this](auto& a) { Carry(a); }, action);
      }
      for (ReaderAction& action : std::exchange(reader_actions_, {})) {
        std::visit([this](auto& a) { Carry(a); }, action);
      }
    }
    acting_ = false;
  }
  void Carry(WireSend& a) {
    spy_.on_send(a.peer, a.message, heard_);
    (void)wire_->Send(a.peer, a.message.SerializeAsString());
  }
  void Carry(PostPull& a) {
    const WireResult result = wire_->PostReads(
        {a.peer, a.tag, a.pull.SerializeAsString(), std::move(a.remote_key), std::move(a.ops)});
    if (result == WireResult::kOk) return;
    reader_.OnReadDone(a.tag, absl::UnavailableError("gone"), Now(), &reader_actions_);
  }
  void Carry(AbortPull& a) { wire_->Abort(a.tag); }
  void Carry(VerifyUnits& a) {
    const size_t page_bytes = memory_->layout().PageBytes();
    bool match = true;
    for (const UnitCheck& check : a.units) {
      const auto page = static_cast<PageId>(check.range.offset / page_bytes);
      const auto bytes = memory_->Page(0, page).subspan(check.range.offset % page_bytes, check.range.length);
      match = match && Checksum64(bytes) == check.checksum;
    }
    reader_.OnVerified(a.tag, match, Now(), &reader_actions_);
  }
  void Carry(ConvertUnits&) {}
  void Carry(ClosePeer& a) {
    wire_->Disconnect(a.peer);
    const absl::StatusOr<PeerId> again = wire_->Connect(owner_endpoint_, "");
    if (again.ok()) reader_.OnReconnected(a.peer, *again, Now());
  }
  void Carry(FenceOverdue&) { overdue_ = true; }
  template <typename Event>
  void Carry(Event& event) {
    spy_.on_event(std::move(event));
  }

  const Clock* const clock_;
  TestMemory* const memory_;
  const Spy spy_;
  const std::unique_ptr<Transport> wire_;
  const Epoch epoch_;
  HandoffOwner owner_;
  HandoffReader reader_;
  OwnerActions owner_actions_;
  ReaderActions reader_actions_;
  std::string owner_endpoint_;
  const v1::Handoff* heard_ = nullptr;
  bool acting_ = false, overdue_ = false;
};

}  // namespace baton::testing
