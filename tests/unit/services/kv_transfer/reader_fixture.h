#pragma once

// A HandoffReader with an owner, a wire and a memory played by the test.

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <vector>

#include "services/kv_transfer/handoff/reader.h"
#include "tests/unit/services/kv_transfer/test_kv.h"

namespace baton::testing {

inline constexpr PeerId kOwnerPeer = 8;

class ReaderFixture : public ::testing::Test {
 protected:
  static ReaderOptions Options() {
    ReaderOptions options;
    options.epoch = kReaderEpoch;
    options.fingerprint = "fp";
    options.layout = kSmallLayout;
    options.pages = {64};
    return options;
  }
  ReaderFixture() { reader.emplace(Options()); }

  PullBegin PullOf(uint64_t n, int64_t tokens = 40) {
    return {Id(n), {"owner", "", kOwnerEpoch, 0}, 0, 0, tokens, {1, 2, 3}, kDigest, now + absl::Seconds(30)};
  }
  void Begin(uint64_t n, int64_t tokens = 40) { reader->OnBegin(PullOf(n, tokens), kOwnerPeer, now, &out); }
  v1::Handoff New(uint64_t n) { return NewMessage(Id(n), kOwnerEpoch); }
  void Say(const v1::Handoff& message) { reader->OnMessage(kOwnerPeer, message, now, &out); }

  v1::Handoff OpenedOf(uint64_t n, uint64_t lease = 5) {
    v1::Handoff message = New(n);
    v1::Opened& opened = *message.mutable_opened();
    opened.set_lease(lease);
    opened.mutable_secret()->set_lo(77);
    opened.set_lease_ms(5000);
    opened.set_hard_ms(30000);
    opened.set_serial(1);
    return message;
  }
  v1::Handoff OfferOf(uint64_t n, uint64_t number, const UnitRect& rect) {
    v1::Handoff message = New(n);
    v1::Offer& offer = *message.mutable_offer();
    offer.set_lease(5);
    offer.set_number(number);
    offer.set_begin_token(rect.begin);
    offer.set_end_token(rect.end);
    offer.set_first_layer(rect.first_layer);
    offer.set_end_layer(rect.end_layer);
    for (size_t i = 0; i < RectUnits(kSmallLayout, rect); ++i) offer.add_checksums(1000 + i);
    const int64_t page = kSmallLayout.PageTokens();
    for (int64_t p = rect.begin / page; p < kSmallLayout.PagesFor(rect.end); ++p) offer.add_pages(10 + p);
    return message;
  }
  v1::Handoff SealOf(uint64_t n, uint64_t offers, int64_t tokens = 40) {
    v1::Handoff message = New(n);
    v1::Seal& seal = *message.mutable_seal();
    seal.set_lease(5);
    seal.set_offers(offers);
    ToProto(kDigest, seal.mutable_digest());
    seal.set_first_token(42);
    seal.set_tokens(tokens);
    return message;
  }
  v1::Handoff VerdictOf(uint64_t n, bool held) {
    v1::Handoff message = New(n);
    message.mutable_verdict()->set_lease(5);
    message.mutable_verdict()->set_held(held);
    return message;
  }
  v1::Handoff RevokeOf(uint64_t n) {
    v1::Handoff message = New(n);
    message.mutable_revoke()->set_lease(5);
    return message;
  }
  // Begun, opened, and all of it offered.
  void Offered(uint64_t n) {
    Begin(n);
    Say(OpenedOf(n));
    Say(OfferOf(n, 1, {0, 40, 0, 3}));
  }

  template <typename Action>
  std::vector<Action> All() const {
    std::vector<Action> found;
    for (const ReaderAction& action : out) {
      if (const auto* a = std::get_if<Action>(&action)) found.push_back(*a);
    }
    return found;
  }
  // How many messages of a verb were sent.
  size_t Sent(v1::Handoff::VerbCase verb) const {
    size_t count = 0;
    for (const WireSend& send : All<WireSend>()) count += send.message.verb_case() == verb;
    return count;
  }
  // Completes all reads posted so far with `status`, and all verifications with `match`, until nothing more
  // comes.
  void ServeReads(bool match = true, const absl::Status& status = absl::OkStatus()) {
    for (size_t i = 0; i < out.size(); ++i) {
      if (const auto* post = std::get_if<PostPull>(&out[i])) {
        const uint64_t tag = post->tag;
        if (served.insert(tag).second) reader->OnReadDone(tag, status, now, &out);
      } else if (const auto* verify = std::get_if<VerifyUnits>(&out[i])) {
        const uint64_t tag = verify->tag;
        if (served.insert(tag).second) reader->OnVerified(tag, match, now, &out);
      }
    }
  }
  void Advance(absl::Duration by) {
    const MonoTime until = now + by;
    while (reader->NextDeadline() <= until) {
      now = std::max(now, reader->NextDeadline());
      reader->OnTick(now, &out);
    }
    now = until;
  }

  MonoTime now = absl::UnixEpoch() + absl::Hours(1);
  std::optional<HandoffReader> reader;
  ReaderActions out;
  std::set<uint64_t> served;
};

}  // namespace baton::testing
