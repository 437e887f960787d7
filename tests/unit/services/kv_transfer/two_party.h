#pragma once

// An owner and a reader process in one thread, on a loopback wire whose faults come from one seed, with time
// turned by hand. Pages are reused (overwritten) as soon as the protocol says that they are free, so that
// every late read or write shows.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <vector>

#include "services/kv_transfer/handoff/driver.h"
#include "services/kv_transfer/transport/loopback.h"
#include "tests/unit/services/kv_transfer/event_log.h"
#include "tests/unit/services/kv_transfer/test_kv.h"

namespace baton::testing {

struct FaultRates {
  double drop = 0, duplicate = 0, delay = 0, corrupt = 0;  // corrupt: of data only
  absl::Duration longest_delay = absl::Milliseconds(400);
  bool lazy_abort = false;  // then reads are not dropped: their fence is their arrival
};

class TwoParties {
 public:
  static constexpr int kHandoffs = 4;
  static constexpr int64_t kPagesEach = 3;

  TwoParties(uint64_t seed, const FaultRates& rates)
      : rng_(seed),
        rates_(rates),
        network_({[this](const LoopbackFrame& f) { return Fate(f); }, rates.lazy_abort}, &clock_) {
    StartOwner();
    StartReader();
    owner_memory_.Randomize(rng_);
    reader_memory_.Randomize(rng_);
  }

  // The whole story: begins, chunks, seals and, at random, revokes, cancels and restarts. Then all must come
  // to rest.
  void Run(bool disturb) {
    for (int n = 0; n < kHandoffs; ++n) StartHandoff(n);
    for (int step = 0; step < 60; ++step) {
      Progress(static_cast<int>(rng_() % kHandoffs));
      if (disturb && rng_() % 40 == 0) Disturb();
      Turn(absl::Milliseconds(rng_() % 20));
    }
    for (int n = 0; n < kHandoffs; ++n) {
      while (!handoffs_[n].sealed) Progress(n);
    }
    Turn(absl::Seconds(40));
    CheckAtRest();
  }

  int held() const { return held_; }
  int lost() const { return lost_; }
  const HandoffDriver& owner() const { return *owner_; }
  const HandoffDriver& reader() const { return *reader_; }

 private:
  struct Handoff {
    int64_t tokens = 0, offered = 0;
    bool sealed = false, own_begun = false;
    std::vector<PageId> from, to;
    std::vector<uint64_t> truth;  // checksums of the whole, at the beginning
    int ended = 0, pull_results = 0;
    bool owner_held = false, reader_held = false;
    bool to_free = false, fence_due = false;
    std::vector<uint64_t> guard;  // checksums of `to` since it was free
  };

  LoopbackFault Fate(const LoopbackFrame& frame) {
    LoopbackFault fault;
    const auto chance = [&](double p) { return std::uniform_real_distribution<>(0, 1)(rng_) < p; };
    const bool control = frame.kind == LoopbackFrame::Kind::kMessage;
    if (chance(rates_.drop) && (control || !rates_.lazy_abort)) fault.copies = 0;
    if (chance(rates_.duplicate)) ++fault.copies;
    if (chance(rates_.delay))
      fault.delay = rates_.longest_delay * std::uniform_real_distribution<>(0, 1)(rng_);
    fault.corrupt = frame.kind == LoopbackFrame::Kind::kData && chance(rates_.corrupt);
    return fault;
  }

  void StartOwner() {
    owner_epoch_ = {1, rng_()};
    owner_.reset();
    owner_wire_.reset();
    owner_wire_ = network_.NewTransport("owner");
    owner_ = *HandoffDriver::Create(Options(), owner_epoch_, &owner_memory_, owner_wire_.get(), &clock_,
                                    &owner_sink_);
  }
  void StartReader() {
    reader_epoch_ = {2, rng_()};
    reader_.reset();
    reader_wire_.reset();
    reader_wire_ = network_.NewTransport("reader");
    reader_ = *HandoffDriver::Create(Options(), reader_epoch_, &reader_memory_, reader_wire_.get(), &clock_,
                                     &reader_sink_);
  }
  static HandoffOptions Options() {
    HandoffOptions options;
    options.lease = absl::Seconds(2);
    options.fence_timeout = absl::Seconds(20);
    options.max_pull_bytes_in_flight = 8 << 10;
    return options;
  }

  UnitRect Whole(const Handoff& h) const { return {0, h.tokens, 0, kSmallLayout.layers}; }

  void StartHandoff(int n) {
    Handoff& h = handoffs_[n];
    h.tokens = 1 + static_cast<int64_t>(rng_() % (kPagesEach * kSmallLayout.PageTokens()));
    for (PageId page = 0; page < kPagesEach; ++page) {
      h.from.push_back(static_cast<PageId>(n * kPagesEach + (page + 1) % kPagesEach));
      h.to.push_back(static_cast<PageId>(n * kPagesEach + page));
    }
    h.truth = ChecksumsOf(owner_memory_, 0, Whole(h), h.from);
    const bool reader_first = rng_() % 4 != 0;
    if (reader_first) BeginPull(n);
    Turn(absl::Milliseconds(rng_() % 30));
    h.own_begun = true;
    owner_->Do(OwnBegin{Id(n), 0, reader_epoch_, 0, h.tokens, clock_.Now() + absl::Seconds(20)});
    if (!reader_first) BeginPull(n);
  }
  void BeginPull(int n) {
    const Handoff& h = handoffs_[n];
    reader_->Do(PullBegin{Id(n),
                          {"owner", "", owner_epoch_, 0},
                          0,
                          0,
                          h.tokens,
                          h.to,
                          kDigest,
                          clock_.Now() + absl::Seconds(15)});
  }

  // The engine computes a little more.
  void Progress(int n) {
    Handoff& h = handoffs_[n];
    if (h.sealed) return;
    if (h.offered == h.tokens) {
      h.sealed = true;
      owner_->Do(OwnSeal{Id(n), kDigest, n});
      return;
    }
    const int64_t end = std::min<int64_t>(h.tokens, h.offered + kAtomTokens * (1 + rng_() % 3));
    const int split = 1 + static_cast<int>(rng_() % (kSmallLayout.layers - 1));
    if (h.ended == 0) {
      owner_->Do(OfferOf(owner_memory_, Id(n), 0, {h.offered, end, 0, split}, h.from));
      owner_->Do(OfferOf(owner_memory_, Id(n), 0, {h.offered, end, split, kSmallLayout.layers}, h.from));
    }
    h.offered = end;
  }

  void Disturb() {
    const int n = static_cast<int>(rng_() % kHandoffs);
    switch (rng_() % 4) {
      case 0:
        return owner_->Do(OwnRevoke{Id(n), "pressure"});
      case 1:
        return reader_->Do(PullCancel{Id(n)});
      case 2:
        StartOwner();
        for (auto& [m, h] :
             handoffs_) {  // the process is gone, and with it its records; its pages are reused
          if (h.own_begun && h.ended == 0) h.ended = 1;
          Scribble(owner_memory_, h.from);
        }
        return;
      case 3:
        StartReader();
        for (auto& [m, h] : handoffs_) {
          if (h.pull_results == 0) h.pull_results = 1;
          h.fence_due = false;
          Free(h);
        }
        return;
    }
  }

  void Turn(absl::Duration by) {
    const MonoTime until = clock_.Now() + by;
    for (;;) {
      owner_->Step(absl::ZeroDuration());
      reader_->Step(absl::ZeroDuration());
      const MonoTime next = std::min({network_.NextDue(), owner_->NextDeadline(), reader_->NextDeadline()});
      if (next > until) break;
      if (next > clock_.Now()) clock_.Advance(next - clock_.Now());
    }
    clock_.Advance(until - clock_.Now());
  }

  void Scribble(TestMemory& memory, const std::vector<PageId>& pages) {
    for (const PageId page : pages) {
      for (std::byte& byte : memory.Page(0, page)) byte = static_cast<std::byte>(rng_());
    }
  }
  // The destination may be reused: from now on nothing may write there.
  void Free(Handoff& h) {
    if (!h.reader_held) Scribble(reader_memory_, h.to);
    h.to_free = true;
    h.guard = ChecksumsOf(reader_memory_, 0, Whole(h), h.to);
  }

  class Sink final : public HandoffEventSink {
   public:
    explicit Sink(TwoParties* parties) : parties_(parties) {}
    void OnHandoffEvent(HandoffEvent event) override {
      std::visit([this](const auto& e) { parties_->On(e); }, event);
    }

   private:
    TwoParties* const parties_;
  };

  Handoff& Of(const HandoffId& id) { return handoffs_[static_cast<int>(id.stream.lo)]; }
  void On(const OwnEnded& e) {
    Handoff& h = Of(e.id);
    EXPECT_EQ(++h.ended, 1) << "OwnEnded twice";
    h.owner_held = e.held;
    Scribble(owner_memory_, h.from);
  }
  void On(const PullHeld& e) {
    Handoff& h = Of(e.id);
    EXPECT_EQ(++h.pull_results, 1);
    EXPECT_EQ(e.first_token, static_cast<TokenId>(e.id.stream.lo));
    EXPECT_EQ(ChecksumsOf(reader_memory_, 0, Whole(h), h.to), h.truth) << "held with wrong bytes";
    EXPECT_TRUE(h.owner_held);
    h.reader_held = true;
    ++held_;
    Free(h);
  }
  void On(const PullLost& e) {
    Handoff& h = Of(e.id);
    EXPECT_EQ(++h.pull_results, 1);
    ++lost_;
    h.fence_due = !e.fenced;
    if (e.fenced) Free(h);
  }
  void On(const PullFenced& e) {
    Handoff& h = Of(e.id);
    EXPECT_TRUE(h.fence_due) << "fenced twice, or without need";
    h.fence_due = false;
    Free(h);
  }

  void CheckAtRest() {
    for (const auto& [n, h] : handoffs_) {
      EXPECT_EQ(h.ended, 1) << n;
      EXPECT_EQ(h.pull_results, 1) << n;
      EXPECT_FALSE(h.fence_due) << n;
      EXPECT_TRUE(h.to_free) << n;
      EXPECT_EQ(ChecksumsOf(reader_memory_, 0, Whole(h), h.to), h.guard)
          << "a late write into freed pages: " << n;
    }
    EXPECT_EQ(owner_->owner().records(), 0u);
    EXPECT_EQ(owner_->owner().verdicts(), 0u);
    EXPECT_EQ(owner_->owner().pending(), 0u);
    EXPECT_EQ(reader_->reader().pulls(), 0u);
    EXPECT_EQ(reader_->reader().bytes_in_flight(), 0u);
    EXPECT_EQ(owner_->NextDeadline(), absl::InfiniteFuture());
    EXPECT_EQ(reader_->NextDeadline(), absl::InfiniteFuture());
    EXPECT_TRUE(reader_->healthy());
  }

  std::mt19937_64 rng_;
  const FaultRates rates_;
  ManualClock clock_;
  LoopbackNetwork network_;
  TestMemory owner_memory_{kSmallLayout, kHandoffs*kPagesEach},
      reader_memory_{kSmallLayout, kHandoffs*kPagesEach};
  Sink owner_sink_{this}, reader_sink_{this};
  std::map<int, Handoff> handoffs_;
  int held_ = 0, lost_ = 0;
  Epoch owner_epoch_, reader_epoch_;
  std::unique_ptr<Transport> owner_wire_, reader_wire_;
  std::unique_ptr<HandoffDriver> owner_, reader_;
};

}  // namespace baton::testing
