#include "services/kv_transfer/handoff/legs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <tuple>

namespace baton {
namespace {

using testing::ElementsAre;

std::vector<KvShard> TensorParallel(int degree, int layers, int heads) {
  std::vector<KvShard> shards;
  for (int rank = 0; rank < degree; ++rank) {
    const int first = degree <= heads ? heads * rank / degree : rank * heads / degree;
    const int end = degree <= heads ? heads * (rank + 1) / degree : first + 1;
    shards.push_back({0, layers, first, end});
  }
  return shards;
}

// How often each (reader, layer, head) is brought.
std::map<std::tuple<uint32_t, int, int>, int> Brought(absl::Span<const HandoffLeg> legs) {
  std::map<std::tuple<uint32_t, int, int>, int> count;
  for (const HandoffLeg& leg : legs) {
    for (int layer = leg.part.first_layer; layer < leg.part.end_layer; ++layer) {
      for (int head = leg.part.first_head; head < leg.part.end_head; ++head)
        ++count[{leg.reader, layer, head}];
    }
  }
  return count;
}

void ExpectExact(absl::Span<const KvShard> owners, absl::Span<const KvShard> readers) {
  const auto legs = PlanLegs(owners, readers);
  ASSERT_TRUE(legs.ok()) << legs.status();
  for (const HandoffLeg& leg : *legs) {
    EXPECT_EQ(Intersect(owners[leg.owner], leg.part), leg.part);
    EXPECT_EQ(Intersect(readers[leg.reader], leg.part), leg.part);
  }
  size_t wanted = 0;
  const auto brought = Brought(*legs);
  for (const auto& [cell, times] : brought) EXPECT_EQ(times, 1);
  for (const KvShard& reader : readers) {
    wanted += size_t(reader.end_layer - reader.first_layer) * (reader.end_head - reader.first_head);
  }
  EXPECT_EQ(brought.size(), wanted);
}

TEST(PlanLegsTest, EqualShardsAreOneLegEach) {
  const auto shards = TensorParallel(4, 32, 8);
  const auto legs = PlanLegs(shards, shards);
  ASSERT_TRUE(legs.ok());
  ASSERT_EQ(legs->size(), 4u);
  for (uint32_t i = 0; i < 4; ++i) EXPECT_EQ((*legs)[i], (HandoffLeg{i, i, shards[i]}));
}

TEST(PlanLegsTest, DegreesMayDiffer) {
  for (const int from : {1, 2, 3, 4, 8, 16}) {
    for (const int to : {1, 2, 3, 4, 8, 16})
      ExpectExact(TensorParallel(from, 6, 8), TensorParallel(to, 6, 8));
  }
}

TEST(PlanLegsTest, OneLegForEachPairThatShares) {
  const auto legs = PlanLegs(TensorParallel(2, 32, 8), TensorParallel(8, 32, 8));
  ASSERT_TRUE(legs.ok());
  EXPECT_EQ(legs->size(), 8u);
}

TEST(PlanLegsTest, ReplicatedHeadsAreServedInTurns) {
  const auto legs = PlanLegs(TensorParallel(8, 4, 2), TensorParallel(8, 4, 2));
  ASSERT_TRUE(legs.ok());
  std::map<uint32_t, int> by_owner;
  for (const HandoffLeg& leg : *legs) ++by_owner[leg.owner];
  EXPECT_EQ(by_owner.size(), 8u);
  for (const auto& [owner, times] : by_owner) EXPECT_EQ(times, 1) << owner;
}

TEST(PlanLegsTest, LayersMayBeSplitToo) {
  const std::vector<KvShard> stages = {{0, 10, 0, 8}, {10, 32, 0, 8}};
  ExpectExact(stages, TensorParallel(4, 32, 8));
  ExpectExact(TensorParallel(4, 32, 8), stages);
}

TEST(PlanLegsTest, RandomSplitsAreExact) {
  std::mt19937 random(7);
  const auto split = [&](int layers, int heads) {
    const int cut = int(random() % (layers + 1)), stages = cut == 0 || cut == layers ? 1 : 2;
    std::vector<KvShard> shards;
    for (int stage = 0; stage < stages; ++stage) {
      const int first = stages == 1 ? 0 : (stage == 0 ? 0 : cut),
                end = stages == 1 || stage == 1 ? layers : cut;
      const auto parts = TensorParallel(1 + int(random() % 6), layers, heads);
      for (KvShard part : parts) {
        part.first_layer = first;
        part.end_layer = end;
        shards.push_back(part);
      }
    }
    return shards;
  };
  for (int round = 0; round < 500; ++round) {
    const int layers = 1 + int(random() % 9), heads = 1 + int(random() % 9);
    ExpectExact(split(layers, heads), split(layers, heads));
  }
}

TEST(PlanLegsTest, WhatNobodyHasIsSaid) {
  const auto legs = PlanLegs({{{0, 4, 0, 2}}}, {{{0, 4, 0, 3}}});
  EXPECT_EQ(legs.status().message(), "no owner has layers [0, 4) of KV heads [2, 3)");
  EXPECT_FALSE(PlanLegs({{{0, 4, 2, 2}}}, {{{0, 4, 0, 3}}}).ok());
}

TEST(LegSetTest, HeldOnlyWhenEveryLegIs) {
  LegSet legs(3);
  std::vector<size_t> cancel;
  legs.OnHeld(0, 5, &cancel);
  legs.OnHeld(2, 5, &cancel);
  legs.OnHeld(2, 5, &cancel);
  EXPECT_EQ(legs.outcome(), LegSet::Outcome::kOpen);
  legs.OnHeld(1, 5, &cancel);
  EXPECT_EQ(legs.outcome(), LegSet::Outcome::kHeld);
  EXPECT_EQ(legs.first_token(), 5);
  EXPECT_TRUE(cancel.empty());
}

TEST(LegSetTest, OneLostLegCancelsTheRestAndFencesLast) {
  LegSet legs(3);
  std::vector<size_t> cancel;
  legs.OnHeld(0, 5, &cancel);
  legs.OnLost(1, absl::AbortedError("revoked"), false, &cancel);
  EXPECT_EQ(legs.outcome(), LegSet::Outcome::kLost);
  EXPECT_EQ(legs.why_lost().message(), "revoked");
  EXPECT_THAT(cancel, ElementsAre(2));
  EXPECT_FALSE(legs.fenced());
  legs.OnFenced(1);
  EXPECT_FALSE(legs.fenced());
  legs.OnHeld(2, 5, &cancel);  // was confirmed before the cancel came
  EXPECT_EQ(legs.outcome(), LegSet::Outcome::kLost);
  EXPECT_TRUE(legs.fenced());
}

TEST(LegSetTest, LegsThatDisagreeAreLost) {
  LegSet legs(3);
  std::vector<size_t> cancel;
  legs.OnHeld(0, 5, &cancel);
  legs.OnHeld(1, 6, &cancel);
  EXPECT_EQ(legs.outcome(), LegSet::Outcome::kLost);
  EXPECT_THAT(cancel, ElementsAre(2));
  legs.OnLost(2, absl::CancelledError("cancelled"), true, &cancel);
  EXPECT_EQ(legs.why_lost().message(), "the legs disagree on the first token");
  EXPECT_TRUE(legs.fenced());
}

}  // namespace
}  // namespace baton
