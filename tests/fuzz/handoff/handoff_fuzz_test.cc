// Two processes at work while a hostile third repeats their own messages, damaged, to each of them: as the
// owner, as the reader, and as a stranger. Nothing may crash or hang, no table may grow, and nothing may be
// held with wrong bytes.

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <iostream>
#include <map>

#include "services/kv_transfer/handoff/driver.h"
#include "services/kv_transfer/transport/loopback.h"
#include "tests/fuzz/handoff/mutate.h"
#include "tests/unit/services/kv_transfer/test_kv.h"

namespace baton {
namespace {

using testing::ChecksumsOf;
using testing::Id;
using testing::kDigest;
using testing::kOwnerEpoch;
using testing::kReaderEpoch;
using testing::kSmallLayout;
using testing::OfferOf;
using testing::TestMemory;

constexpr int kMutations = 100000;
constexpr int kSlots = 4;
constexpr int64_t kTokens = 40;
constexpr UnitRect kWhole{0, kTokens, 0, 3};

class World final : public HandoffEventSink {
 public:
  explicit World(uint64_t seed) : rng_(seed) {
    owner_wire_ = network_.NewTransport();
    reader_wire_ = network_.NewTransport();
    HandoffOptions options;
    options.max_leases = 64;
    owner_ = *HandoffDriver::Create(options, kOwnerEpoch, &owner_memory_, owner_wire_.get(), &clock_, this);
    reader_ =
        *HandoffDriver::Create(options, kReaderEpoch, &reader_memory_, reader_wire_.get(), &clock_, this);
    owner_memory_.Randomize(rng_);
  }

  void OnHandoffEvent(HandoffEvent event) override {
    if (const auto* held = std::get_if<PullHeld>(&event)) {
      const int slot = slots_.at(held->id);
      EXPECT_EQ(ChecksumsOf(reader_memory_, 0, kWhole, To(slot)),
                ChecksumsOf(owner_memory_, 0, kWhole, From(slot)));
      ++held_;
      --open_[slot];
    } else if (const auto* lost = std::get_if<PullLost>(&event)) {
      ++lost_;
      if (lost->fenced) --open_[slots_.at(lost->id)];
    } else if (const auto* fenced = std::get_if<PullFenced>(&event)) {
      --open_[slots_.at(fenced->id)];
    } else {
      --open_[slots_.at(std::get<OwnEnded>(event).id)];
    }
  }

  void Run() {
    for (int i = 0; i < kMutations; ++i) {
      if (i % 20 == 0) Work();
      if (!corpus_.empty()) Attack();
      for (const int open : open_) ASSERT_GE(open, 0) << "an event too many";
      ASSERT_LE(owner_->owner().records(), static_cast<size_t>(kSlots));
      ASSERT_LE(reader_->reader().pulls(), static_cast<size_t>(kSlots));
    }
    Rest();
  }

  int held() const { return held_; }
  int lost() const { return lost_; }
  uint64_t malformed() const { return owner_->stats().malformed + reader_->stats().malformed; }

 private:
  static std::vector<PageId> From(int slot) { return {slot * 2, slot * 2 + 1}; }
  static std::vector<PageId> To(int slot) { return {slot * 2 + 1, slot * 2}; }

  LoopbackFault Capture(const LoopbackFrame& frame) {
    if (frame.kind == LoopbackFrame::Kind::kMessage || frame.kind == LoopbackFrame::Kind::kRead) {
      v1::Handoff message;
      if (message.ParseFromString(frame.bytes)) {
        auto& of_verb = corpus_[message.verb_case()];
        of_verb.push_back(std::move(message));
        if (of_verb.size() > 8) of_verb.pop_front();
      }
    }
    return LoopbackFault{};
  }

  // Honest work: a new handoff in each free slot, a little progress in the others.
  void Work() {
    for (int slot = 0; slot < kSlots; ++slot) {
      if (open_[slot] == 0) Begin(slot);
    }
    const int slot = static_cast<int>(rng_() % kSlots);
    const HandoffId id = current_[slot];
    if (rng_() % 2 == 0 && stage_[slot] < 3) {
      const int layer = stage_[slot];
      owner_->Do(OfferOf(owner_memory_, id, 0, {0, kTokens, layer, layer + 1}, From(slot)));
      if (++stage_[slot] == 3) owner_->Do(OwnSeal{id, kDigest, 7});
    }
    clock_.Advance(absl::Milliseconds(rng_() % 100 == 0 ? 4000 : rng_() % 30));
    Turn();
  }
  void Begin(int slot) {
    const HandoffId id = Id(++last_id_);
    slots_[id] = slot;
    current_[slot] = id;
    stage_[slot] = 0;
    open_[slot] = 2;
    const MonoTime deadline = clock_.Now() + absl::Seconds(20);
    reader_->Do(PullBegin{
        id, {owner_wire_->endpoint(), "", kOwnerEpoch, 0}, 0, 0, kTokens, To(slot), kDigest, deadline});
    owner_->Do(OwnBegin{id, 0, kReaderEpoch, 0, kTokens, deadline});
  }
  void Turn() {
    for (int i = 0; i < 3; ++i) {
      owner_->Step(absl::ZeroDuration());
      reader_->Step(absl::ZeroDuration());
    }
  }

  void Attack() {
    auto verb = corpus_.begin();
    std::advance(verb, rng_() % corpus_.size());
    v1::Handoff message = verb->second[rng_() % verb->second.size()];
    for (uint64_t left = rng_() % 3; left > 0; --left) testing::MutateFields(rng_, &message);
    std::string bytes = message.SerializeAsString();
    if (rng_() % 3 == 0) testing::MutateBytes(rng_, &bytes);
    const PeerId from = rng_() % 8 == 0 ? 77 : 1;  // a stranger, or the other party
    const bool read = message.has_pull() ? rng_() % 4 != 0 : rng_() % 16 == 0;
    switch (read ? 2 : rng_() % 2) {
      case 0:
        return owner_->OnMessage(from, bytes);
      case 1:
        return reader_->OnMessage(from, bytes);
      case 2:
        if (const auto ranges = owner_->OnRead(from, bytes); ranges.ok()) {
          for (const ByteRange& range : *ranges)
            EXPECT_LE(range.offset + range.length, 8 * kSmallLayout.PageBytes());
        }
        return;
    }
  }

  void Rest() {
    for (int i = 0; i < 400; ++i) {
      clock_.Advance(absl::Milliseconds(100));
      Turn();
    }
    EXPECT_EQ(owner_->owner().records(), 0u);
    EXPECT_EQ(reader_->reader().pulls(), 0u);
    EXPECT_EQ(reader_->reader().bytes_in_flight(), 0u);
    for (const int open : open_) EXPECT_EQ(open, 0);
  }

  testing::Rng rng_;
  ManualClock clock_;
  std::map<v1::Handoff::VerbCase, std::deque<v1::Handoff>> corpus_;
  LoopbackNetwork network_{{[this](const LoopbackFrame& f) { return Capture(f); }}, &clock_};
  TestMemory owner_memory_{kSmallLayout, 2 * kSlots}, reader_memory_{kSmallLayout, 2 * kSlots};
  std::map<HandoffId, int> slots_;
  std::array<HandoffId, kSlots> current_{};
  std::array<int, kSlots> stage_{}, open_{};
  uint64_t last_id_ = 0;
  int held_ = 0, lost_ = 0;
  std::unique_ptr<Transport> owner_wire_, reader_wire_;
  std::unique_ptr<HandoffDriver> owner_, reader_;
};

TEST(HandoffFuzzTest, DamagedMessagesToBothParties) {
  for (const uint64_t seed : {1, 2, 3}) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    World world(seed);
    world.Run();
    EXPECT_GT(world.held(), 50);
    EXPECT_GT(world.lost(), 50);
    EXPECT_GT(world.malformed(), 1000u);
    std::cout << "seed " << seed << ": " << world.held() << " held, " << world.lost() << " lost, "
              << world.malformed() << " malformed of " << kMutations << "\n";
  }
}

}  // namespace
}  // namespace baton
