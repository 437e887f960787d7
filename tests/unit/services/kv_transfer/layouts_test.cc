// Pools that differ in page size, in what they keep of the model, and in dtype.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/half.h"
#include "services/kv_transfer/handoff/driver.h"
#include "services/kv_transfer/transport/loopback.h"
#include "tests/unit/services/kv_transfer/event_log.h"
#include "tests/unit/services/kv_transfer/test_kv.h"

namespace baton {
namespace {

using testing::EventLog;
using ::testing::HasSubstr;
using testing::Id;
using testing::kDigest;
using ::testing::SizeIs;
using testing::SomePages;
using testing::TestMemory;

// The one model of these tests. An element's value tells where it belongs.
constexpr int kLayers = 5, kHeads = 6, kDim = 4, kTokens = 200;
float ValueOf(int64_t token, int layer, KvSide side, int head, int dim) {
  return float(((token * 31 + layer * 7 + int(side) * 3 + head) * 5 + dim) % 2039 - 1000) / 8.0f;
}

struct Shape {
  KvShard shard{0, kLayers, 0, kHeads};
  int atoms_per_page = 1;
  KvDtype dtype = KvDtype::kF16;
  std::string fingerprint = "same";
  bool inexact = false;
  std::string model = "model";
  bool operator==(const Shape&) const = default;

  KvLayout layout() const {
    return {shard.end_layer - shard.first_layer, shard.end_head - shard.first_head, kDim, dtype,
            atoms_per_page};
  }
};

float Load(KvDtype dtype, const std::byte* at) {
  uint16_t half;
  float whole;
  std::memcpy(&half, at, 2);
  if (dtype == KvDtype::kF16) return HalfToFloat(half);
  if (dtype == KvDtype::kBF16) return Bfloat16ToFloat(half);
  std::memcpy(&whole, at, 4);
  return whole;
}

void Store(KvDtype dtype, float value, std::byte* at) {
  const uint16_t half = dtype == KvDtype::kF16 ? FloatToHalf(value) : FloatToBfloat16(value);
  dtype == KvDtype::kF32 ? std::memcpy(at, &value, 4) : std::memcpy(at, &half, 2);
}

struct Party {
  Party(const Shape& s, Epoch e, LoopbackNetwork& network, const Clock* clock, std::mt19937_64& rng)
      : shape(s), epoch(e), memory(s.layout(), kPool), wire(network.NewTransport()) {
    pages = SomePages(rng, kPool, s.layout().PagesFor(kTokens));
    HandoffOptions options;
    options.fingerprint = s.fingerprint;
    options.model = s.model;
    options.shard = s.shard;
    options.inexact = s.inexact;
    driver = *HandoffDriver::Create(options, epoch, &memory, wire.get(), clock, &log);
  }
  // Calls visit(token, layer, side, head, dim, where it is stored) for every element; layers and heads as the
  // model's.
  template <typename Visit>
  void ForEach(Visit visit) {
    const KvLayout layout = shape.layout();
    for (int64_t token = 0; token < kTokens; ++token) {
      const absl::Span<std::byte> page = memory.Page(0, pages[token / layout.PageTokens()]);
      const int atom = int(token % layout.PageTokens()) / kAtomTokens, row = int(token % kAtomTokens);
      for (int layer = 0; layer < layout.layers; ++layer) {
        for (const KvSide side : {KvSide::kKey, KvSide::kValue}) {
          for (int head = 0; head < layout.kv_heads; ++head) {
            std::byte* const at =
                page.data() + layout.UnitOffset(atom, layer, side, head) + row * layout.RowBytes();
            for (int dim = 0; dim < kDim; ++dim) {
              visit(token, shape.shard.first_layer + layer, side, shape.shard.first_head + head, dim,
                    at + dim * KvDtypeBytes(layout.dtype));
            }
          }
        }
      }
    }
  }
  void Fill() {
    ForEach([this](int64_t token, int layer, KvSide side, int head, int dim, std::byte* at) {
      Store(shape.dtype, ValueOf(token, layer, side, head, dim), at);
    });
  }
  // How many elements in `part` are wrong.
  int Wrong(const KvShard& part) {
    int wrong = 0;
    ForEach([&](int64_t token, int layer, KvSide side, int head, int dim, std::byte* at) {
      if (Intersect(part, {layer, layer + 1, head, head + 1}).empty()) return;
      wrong += Load(shape.dtype, at) != ValueOf(token, layer, side, head, dim);
    });
    return wrong;
  }

  static constexpr int64_t kPool = 32;
  const Shape shape;
  const Epoch epoch;
  TestMemory memory;
  EventLog log;
  std::unique_ptr<Transport> wire;
  std::unique_ptr<HandoffDriver> driver;
  std::vector<PageId> pages;
};

class LayoutsTest : public ::testing::Test {
 protected:
  std::unique_ptr<Party> Make(const Shape& shape) {
    return std::make_unique<Party>(shape, Epoch{1, ++parties_}, network, &clock, rng);
  }
  // One leg, to its end.
  void Move(Party& owner, Party& reader, const HandoffId& id, const KvShard& part = {}) {
    Begin(owner, reader, id, part);
    Turn({&owner, &reader});
  }
  void Begin(Party& owner, Party& reader, const HandoffId& id, const KvShard& part) {
    const MonoTime deadline = clock.Now() + absl::Seconds(3);
    owner.driver->Do(OwnBegin{id, 0, reader.epoch, 0, kTokens, deadline});
    reader.driver->Do(PullBegin{id,
                                {owner.wire->endpoint(), "", owner.epoch, 0},
                                0,
                                0,
                                kTokens,
                                reader.pages,
                                kDigest,
                                deadline,
                                part});
    for (const auto& [begin, end] : {std::pair{0, 80}, std::pair{80, kTokens}}) {
      for (const auto& [first, last] : {std::pair{0, 1}, std::pair{1, owner.shape.layout().layers}}) {
        owner.driver->Do(testing::OfferOf(owner.memory, id, 0, {begin, end, first, last}, owner.pages));
      }
    }
    owner.driver->Do(OwnSeal{id, kDigest, 42});
  }
  void Turn(const std::vector<Party*>& parties) {
    const MonoTime until = clock.Now() + absl::Seconds(4);
    while (clock.Now() < until) {
      MonoTime next = network.NextDue();
      for (Party* party : parties) {
        party->driver->Step(absl::ZeroDuration());
        next = std::min(next, party->driver->NextDeadline());
      }
      next = std::min(next, network.NextDue());
      if (next > clock.Now()) clock.Advance(std::min(next, until) - clock.Now());
    }
  }

  std::mt19937_64 rng{1};
  ManualClock clock;
  LoopbackNetwork network{{}, &clock};
  uint64_t parties_ = 0;
};

TEST_F(LayoutsTest, PagesOfEitherSideMayBeLarger) {
  uint64_t id = 0;
  for (const int owner_atoms : {1, 2, 3, 8}) {
    for (const int reader_atoms : {1, 2, 4, 5}) {
      auto owner = Make({.atoms_per_page = owner_atoms}), reader = Make({.atoms_per_page = reader_atoms});
      owner->Fill();
      Move(*owner, *reader, Id(++id));
      ASSERT_THAT(reader->log.Of<PullHeld>(), SizeIs(1)) << owner_atoms << " to " << reader_atoms;
      EXPECT_FALSE(reader->log.Of<PullHeld>()[0].inexact);
      EXPECT_EQ(reader->Wrong(reader->shape.shard), 0);
      EXPECT_EQ(owner->log.Of<OwnEnded>()[0].held, true);
    }
  }
}

std::vector<KvShard> TensorParallel(int degree) {
  std::vector<KvShard> shards;
  for (int rank = 0; rank < degree; ++rank) {
    shards.push_back({0, kLayers, kHeads * rank / degree, kHeads * (rank + 1) / degree});
  }
  return shards;
}

// Legs from sharded owners to sharded readers, all at once.
class ShardsTest : public LayoutsTest {
 protected:
  void Run(const std::vector<KvShard>& from, const std::vector<KvShard>& to, int owner_atoms,
           int reader_atoms) {
    std::vector<std::unique_ptr<Party>> owners, readers;
    std::vector<Party*> all;
    for (const KvShard& shard : from) owners.push_back(Make({.shard = shard, .atoms_per_page = owner_atoms}));
    for (const KvShard& shard : to) readers.push_back(Make({.shard = shard, .atoms_per_page = reader_atoms}));
    for (auto* side : {&owners, &readers}) {
      for (auto& party : *side) all.push_back(party.get());
    }
    for (auto& owner : owners) owner->Fill();
    const auto legs = PlanLegs(from, to);
    ASSERT_TRUE(legs.ok()) << legs.status();
    for (uint32_t leg = 0; leg < legs->size(); ++leg) {
      HandoffId id = Id(1);
      id.leg = leg;
      Begin(*owners[(*legs)[leg].owner], *readers[(*legs)[leg].reader], id, (*legs)[leg].part);
    }
    Turn(all);
    LegSet set(legs->size());
    std::vector<size_t> cancel;
    for (auto& reader : readers) {
      for (const PullHeld& held : reader->log.Of<PullHeld>())
        set.OnHeld(held.id.leg, held.first_token, &cancel);
      EXPECT_EQ(reader->Wrong(reader->shape.shard), 0);
      EXPECT_THAT(reader->log.Of<PullLost>(), SizeIs(0));
    }
    EXPECT_EQ(set.outcome(), LegSet::Outcome::kHeld);
    EXPECT_EQ(set.first_token(), 42);
  }
};

TEST_F(ShardsTest, TensorParallelDegreesMayDiffer) {
  for (const int from : {1, 2, 3, 6}) {
    for (const int to : {1, 2, 3, 6}) Run(TensorParallel(from), TensorParallel(to), 1 + from % 2, 2);
  }
}

TEST_F(ShardsTest, LayersMayBeSplitAcrossOwners) {
  const std::vector<KvShard> stages = {{0, 2, 0, kHeads}, {2, kLayers, 0, kHeads}};
  Run(stages, TensorParallel(1), 1, 4);
  Run(stages, TensorParallel(3), 2, 1);
  Run(TensorParallel(2), stages, 1, 1);
}

TEST_F(LayoutsTest, OtherDtypesAreConvertedAndSaidToBeInexact) {
  uint64_t id = 0;
  for (const KvDtype from : {KvDtype::kF32, KvDtype::kF16, KvDtype::kBF16}) {
    for (const KvDtype to : {KvDtype::kF32, KvDtype::kF16}) {
      auto owner = Make({.atoms_per_page = 2, .dtype = from, .fingerprint = "a", .inexact = true});
      auto reader = Make({.dtype = to, .fingerprint = "b", .inexact = true});
      owner->Fill();
      Move(*owner, *reader, Id(++id));
      ASSERT_THAT(reader->log.Of<PullHeld>(), SizeIs(1)) << int(from) << " to " << int(to);
      EXPECT_TRUE(reader->log.Of<PullHeld>()[0].inexact);
      if (from != KvDtype::kBF16) {
        EXPECT_EQ(reader->Wrong(reader->shape.shard), 0);
      }
    }
  }
}

TEST_F(LayoutsTest, WhatIsNotToBeInexactIsRefusedInWords) {
  struct Case {
    Shape owner, reader;
    std::string why;
  };
  const Case cases[] = {
      {{.fingerprint = "a"}, {.fingerprint = "b"}, "numeric fingerprints differ"},
      {{.fingerprint = "a", .inexact = true}, {.fingerprint = "b"}, "numeric fingerprints differ"},
      {{.fingerprint = "a"}, {.fingerprint = "b", .inexact = true}, "numeric fingerprints differ"},
      {{.fingerprint = "a", .inexact = true, .model = "one"},
       {.fingerprint = "b", .inexact = true, .model = "other"},
       "models differ: the owner"},
      {{.fingerprint = "a", .inexact = true, .model = ""},
       {.fingerprint = "b", .inexact = true, .model = ""},
       "models differ"},
      {{.model = "one"}, {.model = "other"}, "models differ"},
      {{.dtype = KvDtype::kBF16}, {}, "KV dtype is 2 at the owner, 1 at the reader"},
      {{.shard = {0, kLayers, 0, 3}}, {}, "the owner keeps layers [0, 5) of KV heads [0, 3)"},
  };
  uint64_t id = 0;
  for (const Case& c : cases) {
    auto owner = Make(c.owner), reader = Make(c.reader);
    owner->Fill();
    Move(*owner, *reader, Id(++id));
    ASSERT_THAT(reader->log.Of<PullLost>(), SizeIs(1)) << c.why;
    EXPECT_THAT(std::string(reader->log.Of<PullLost>()[0].status.message()), HasSubstr(c.why));
    EXPECT_TRUE(reader->log.Of<PullLost>()[0].fenced);
  }
}

// A pool names no model: it keeps one fingerprint's KV.
TEST_F(LayoutsTest, WhoNamesNoModelIsServedByItsFingerprint) {
  uint64_t id = 0;
  for (const auto& [ours, theirs] : {std::pair("", "one"), std::pair("one", ""), std::pair("", "")}) {
    auto owner = Make({.model = ours}), reader = Make({.model = theirs});
    owner->Fill();
    Move(*owner, *reader, Id(++id));
    ASSERT_THAT(reader->log.Of<PullHeld>(), SizeIs(1)) << ours << " to " << theirs;
    EXPECT_FALSE(reader->log.Of<PullHeld>()[0].inexact);
    EXPECT_EQ(reader->Wrong(reader->shape.shard), 0);
  }
}

TEST_F(LayoutsTest, APartThatOurShardDoesNotKeepIsInvalid) {
  auto owner = Make({}), reader = Make({.shard = {0, kLayers, 0, 3}});
  Move(*owner, *reader, Id(1), {0, kLayers, 2, 4});
  ASSERT_THAT(reader->log.Of<PullLost>(), SizeIs(1));
  EXPECT_TRUE(absl::IsInvalidArgument(reader->log.Of<PullLost>()[0].status));
}

}  // namespace
}  // namespace baton
