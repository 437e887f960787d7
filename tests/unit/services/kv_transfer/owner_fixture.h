#pragma once

// A HandoffOwner with a reader played by the test.

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "services/kv_transfer/handoff/owner.h"
#include "tests/unit/services/kv_transfer/test_kv.h"

namespace baton::testing {

inline constexpr PeerId kReaderPeer = 3;

class OwnerFixture : public ::testing::Test {
 protected:
  static OwnerOptions Options() {
    OwnerOptions options;
    options.epoch = kOwnerEpoch;
    options.fingerprint = "fp";
    options.layout = kSmallLayout;
    options.pages = {64};
    options.new_secret = [n = uint64_t{100}]() mutable { return Id128{9, ++n}; };
    return options;
  }
  void Restart(OwnerOptions options) { owner.emplace(std::move(options)); }
  OwnerFixture() { Restart(Options()); }

  OwnBegin BeginOf(uint64_t n, int64_t tokens = 40) {
    return {Id(n), 0, kReaderEpoch, 0, tokens, now + absl::Seconds(60)};
  }
  void Begin(uint64_t n, int64_t tokens = 40) { owner->OnBegin(BeginOf(n, tokens), now, &out); }

  v1::Handoff OpenOf(uint64_t n, int64_t end = 40) {
    v1::Handoff message = NewMessage(Id(n), kReaderEpoch);
    v1::Open& open = *message.mutable_open();
    ToProto(kOwnerEpoch, open.mutable_owner_epoch());
    ToProto(kReaderEpoch, open.mutable_reader_epoch());
    open.set_end_token(end);
    open.set_fingerprint("fp");
    ToProto(kSmallLayout, open.mutable_layout());
    open.set_hard_ms(30000);
    open.set_serial(1);
    open.set_reader("reader-1");
    return message;
  }
  void Say(const v1::Handoff& message) { owner->OnMessage(kReaderPeer, message, now, &out); }
  // Begins and opens; returns the lease.
  v1::Opened Lease(uint64_t n, int64_t tokens = 40) {
    Begin(n, tokens);
    Say(OpenOf(n, tokens));
    return Last<v1::Opened>(&v1::Handoff::has_opened, &v1::Handoff::opened).value_or(v1::Opened());
  }
  OwnOffer Offer(uint64_t n, int64_t begin, int64_t end, int32_t first_layer = 0, int32_t end_layer = 3) {
    const UnitRect rect{begin, end, first_layer, end_layer};
    std::vector<uint64_t> sums(RectUnits(kSmallLayout, rect), 77);
    return {Id(n), begin, end, first_layer, end_layer, {5, 6, 7, 8}, sums};
  }
  void OfferAll(uint64_t n, int64_t tokens = 40) { owner->OnOffer(Offer(n, 0, tokens), now, &out); }
  void Seal(uint64_t n) { owner->OnSeal({Id(n), kDigest, 42}, now, &out); }

  v1::Handoff PullOf(uint64_t n, const v1::Opened& lease, const UnitRect& rect) {
    v1::Handoff message = NewMessage(Id(n), kReaderEpoch);
    v1::Pull& pull = *message.mutable_pull();
    ToProto(kOwnerEpoch, pull.mutable_owner_epoch());
    pull.set_lease(lease.lease());
    *pull.mutable_secret() = lease.secret();
    pull.set_begin_token(rect.begin);
    pull.set_end_token(rect.end);
    pull.set_first_layer(rect.first_layer);
    pull.set_end_layer(rect.end_layer);
    return message;
  }
  v1::Handoff ConfirmOf(uint64_t n, const v1::Opened& lease, uint64_t offers) {
    v1::Handoff message = NewMessage(Id(n), kReaderEpoch);
    v1::Confirm& confirm = *message.mutable_confirm();
    ToProto(kOwnerEpoch, confirm.mutable_owner_epoch());
    ToProto(kReaderEpoch, confirm.mutable_reader_epoch());
    confirm.set_lease(lease.lease());
    *confirm.mutable_secret() = lease.secret();
    confirm.set_offers(offers);
    return message;
  }
  v1::Handoff RenewOf(uint64_t n, const v1::Opened& lease) {
    v1::Handoff message = NewMessage(Id(n), kReaderEpoch);
    ToProto(kOwnerEpoch, message.mutable_renew()->mutable_owner_epoch());
    message.mutable_renew()->set_lease(lease.lease());
    *message.mutable_renew()->mutable_secret() = lease.secret();
    message.mutable_renew()->set_serial(9);
    return message;
  }
  v1::Handoff AckOf(uint64_t n, const v1::Opened& lease, uint64_t number, bool sealed) {
    v1::Handoff message = NewMessage(Id(n), kReaderEpoch);
    v1::OfferAck& ack = *message.mutable_offer_ack();
    ack.set_lease(lease.lease());
    *ack.mutable_secret() = lease.secret();
    ack.set_number(number);
    ack.set_sealed(sealed);
    return message;
  }

  // The last message sent of a verb.
  template <typename Verb>
  std::optional<Verb> Last(bool (v1::Handoff::*has)() const, const Verb& (v1::Handoff::*get)() const) const {
    std::optional<Verb> last;
    for (const OwnerAction& action : out) {
      const auto* send = std::get_if<WireSend>(&action);
      if (send != nullptr && (send->message.*has)()) last = (send->message.*get)();
    }
    return last;
  }
  std::optional<v1::Verdict> LastVerdict() const {
    return Last<v1::Verdict>(&v1::Handoff::has_verdict, &v1::Handoff::verdict);
  }
  std::optional<v1::Refused> LastRefused() const {
    return Last<v1::Refused>(&v1::Handoff::has_refused, &v1::Handoff::refused);
  }
  std::optional<v1::Revoke> LastRevoke() const {
    return Last<v1::Revoke>(&v1::Handoff::has_revoke, &v1::Handoff::revoke);
  }
  size_t CountOffers() const {
    size_t count = 0;
    for (const OwnerAction& action : out) {
      const auto* send = std::get_if<WireSend>(&action);
      count += send != nullptr && send->message.has_offer();
    }
    return count;
  }
  std::vector<OwnEnded> Ended() const {
    std::vector<OwnEnded> ended;
    for (const OwnerAction& action : out) {
      if (const auto* e = std::get_if<OwnEnded>(&action)) ended.push_back(*e);
    }
    return ended;
  }
  void Advance(absl::Duration by) {
    const MonoTime until = now + by;
    while (owner->NextDeadline() <= until) {
      now = std::max(now, owner->NextDeadline());
      owner->OnTick(now, &out);
    }
    now = until;
  }

  MonoTime now = absl::UnixEpoch() + absl::Hours(1);
  std::optional<HandoffOwner> owner;
  OwnerActions out;
};

}  // namespace baton::testing
