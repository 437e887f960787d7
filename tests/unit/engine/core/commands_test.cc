// Each command and what it does to the pages.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/engine/core/core_harness.h"

namespace baton {
namespace {

using ::testing::HasSubstr;

PageCounts Pages(CoreHarness& h) {
  return h.core.Load().pages;
}

TEST(ServeTest, EmitsTheTokensWithPositionsAndGivesItsPagesBack) {
  CoreHarness h;
  const SequenceSpec spec = MakeSpec(RandomTokens(1, 20), 30);
  h.Handle(ServeCommand{7, spec});
  EXPECT_EQ(h.core.Load().waiting, 1);
  EXPECT_EQ(h.core.Load().backlog_tokens, 20);
  h.RunUntilIdle();
  EXPECT_EQ(h[7].tokens, Undisturbed({}, spec));
  EXPECT_EQ(h[7].tokens.size(), 30u);
  EXPECT_EQ(h[7].finish, FinishReason::kLength);
  EXPECT_EQ(h[7].token_events[29].position, 29);
  EXPECT_TRUE(h.AtRest());
  EXPECT_EQ(Pages(h).cached, 3);  // 49 tokens have keys and values: three full pages
  EXPECT_FALSE(h.core.HasWork());
}

TEST(ServeTest, StopsAtAStopTokenUnlessToldToIgnoreIt) {
  CoreHarness h({.eos_period = 8});
  SequenceSpec spec = MakeSpec(RandomTokens(3, 10), 100);
  spec.stop_tokens = {0};
  h.Handle(ServeCommand{1, spec});
  spec.ignore_eos = true;
  h.Handle(ServeCommand{2, spec});
  h.RunUntilIdle();
  EXPECT_EQ(h[1].finish, FinishReason::kStop);
  EXPECT_EQ(h[1].tokens.back(), 0);
  EXPECT_LT(h[1].tokens.size(), 100u);
  EXPECT_EQ(h[2].tokens.size(), 100u);
  EXPECT_TRUE(std::equal(h[1].tokens.begin(), h[1].tokens.end(), h[2].tokens.begin()));
}

TEST(ServeTest, AReplayGoesOnWhereTheStreamWas) {
  SequenceSpec spec = MakeSpec(RandomTokens(4, 25), 40);
  spec.sampling = {.temperature = 1.2f, .presence_penalty = 0.4f, .repetition_penalty = 1.1f, .seed = 9};
  const std::vector<TokenId> whole = Undisturbed({}, spec);
  for (size_t emitted : {1u, 17u, 39u}) {
    CoreHarness h;
    SequenceSpec replay = spec;
    replay.tokens.insert(replay.tokens.end(), whole.begin(), whole.begin() + emitted);
    h.Handle(ServeCommand{1, replay});
    h.RunUntilIdle();
    EXPECT_EQ(h[1].tokens, std::vector<TokenId>(whole.begin() + emitted, whole.end()));
    EXPECT_EQ(h[1].token_events[0].position, static_cast<int64_t>(emitted));
  }
}

TEST(ServeTest, ReusesAPrefixAndLeavesATokenToCompute) {
  CoreHarness h;
  const SequenceSpec spec = MakeSpec(RandomTokens(5, 32), 2);
  h.Handle(ServeCommand{1, spec});
  h.RunUntilIdle();
  const int64_t computed = h.core.Load().computed_tokens;
  h.Handle(ServeCommand{2, spec});
  h.RunUntilIdle();
  EXPECT_EQ(h.core.Load().prefix_hits, 1);
  EXPECT_EQ(h.core.Load().prefix_hit_tokens, 16);  // not 32: the last token must be computed
  EXPECT_EQ(h.core.Load().computed_tokens - computed, 17);
  const auto named = BlockHashes(RootBlockHash(h.runner.fingerprint(), spec.cache_salt), spec.tokens, 16);
  EXPECT_EQ(h.blocks, std::set<BlockHash>(named.begin(), named.end()));
  SequenceSpec other = spec;
  other.cache_salt = {1, 2};
  h.Handle(ServeCommand{3, other});
  h.RunUntilIdle();
  EXPECT_EQ(h.core.Load().prefix_hits, 1);  // nothing is shared across salts
  EXPECT_EQ(h[1].tokens, h[2].tokens);
  EXPECT_EQ(h[1].tokens, h[3].tokens);
}

TEST(ServeTest, SequencesThatRunShareTheirPrefixPages) {
  CoreHarness h({}, {.token_budget = 64, .prefill_chunk = 64});
  const SequenceSpec spec = MakeSpec(RandomTokens(5, 40), 20);
  h.Handle(ServeCommand{1, spec});
  ASSERT_TRUE(h.core.Step(h.now));
  h.Handle(ServeCommand{2, spec});
  ASSERT_TRUE(h.core.Step(h.now));
  EXPECT_EQ(Pages(h).used, 4);  // 2 shared, one tail each
  h.RunUntilIdle();
  EXPECT_EQ(h[1].tokens, h[2].tokens);
}

TEST(ServeTest, EqualPromptsComputedSideBySideEndUpOnOneCopy) {
  CoreHarness h;
  const SequenceSpec spec = MakeSpec(RandomTokens(6, 40), 5);
  h.Handle(ServeCommand{1, spec});
  h.Handle(ServeCommand{2, spec});
  ASSERT_TRUE(h.core.Step(h.now));
  EXPECT_EQ(Pages(h).used, 4);
  h.RunUntilIdle();
  EXPECT_EQ(h[1].tokens, h[2].tokens);
}

TEST(PrefillTest, OffersEveryLayerOfEveryChunkThenPinsUntilReleased) {
  CoreHarness h({}, {.token_budget = 16, .prefill_chunk = 16});
  const SequenceSpec spec = MakeSpec(RandomTokens(7, 40), 10);
  h.Handle(PrefillCommand{1, spec});
  h.RunUntilIdle();
  ASSERT_TRUE(h[1].prefilled.has_value());
  EXPECT_EQ(h[1].prefilled->token, Undisturbed({}, spec)[0]);
  EXPECT_EQ(h[1].prefilled->position, 0);
  ASSERT_EQ(h[1].computed.size(), 6u);  // three chunks of two layers
  EXPECT_EQ(h[1].computed[3].begin, 16);
  EXPECT_EQ(h[1].computed[3].end, 32);
  EXPECT_EQ(h[1].computed[3].first_layer, 1);
  EXPECT_EQ(h[1].computed[3].end_layer, 2);
  EXPECT_EQ(Pages(h).pinned, 3);
  EXPECT_EQ(h.runner.ReadTokens(h[1].computed[0].pages, 40), spec.tokens);
  h.Handle(ReleaseCommand{1});
  EXPECT_TRUE(h.AtRest());

  h.Handle(PrefillCommand{2, spec});
  h.RunUntilIdle();
  EXPECT_TRUE(h[2].computed[0].from_cache);
  EXPECT_EQ(h[2].computed[0].end, 32);
  EXPECT_EQ(h[2].computed[0].end_layer, 2);
  h.Handle(ReleaseCommand{2});
}

TEST(PrefillTest, PinnedPagesAreNeitherEvictedNorPreempted) {
  CoreHarness h({.pages = 8, .max_context = 128});
  const SequenceSpec offered = MakeSpec(RandomTokens(8, 60), 10);
  h.Handle(PrefillCommand{1, offered});
  h.RunUntilIdle();
  h.Handle(ServeCommand{2, MakeSpec(RandomTokens(9, 40), 60)});
  h.RunUntilIdle();
  EXPECT_FALSE(h[2].over());  // waits for pages that only a Release brings
  EXPECT_FALSE(h.core.HasWork());
  EXPECT_EQ(h.runner.ReadTokens(h[1].computed[0].pages, 60), offered.tokens);
  h.Handle(ReleaseCommand{1});
  EXPECT_TRUE(h.core.HasWork());
  h.RunUntilIdle();
  EXPECT_EQ(h[2].tokens.size(), 60u);
}

TEST(PrefillTest, CancelledOrFailedItsOfferedPagesStayUntilReleased) {
  CoreHarness h({}, {.token_budget = 16, .prefill_chunk = 16});
  const SequenceSpec spec = MakeSpec(RandomTokens(10, 40), 10);
  h.Handle(PrefillCommand{1, spec});
  ASSERT_TRUE(h.core.Step(h.now));
  h.Handle(CancelCommand{1, false});
  EXPECT_EQ(Pages(h).pinned, 3);
  h.Handle(ReleaseCommand{1});
  EXPECT_TRUE(h.AtRest());

  h.Handle(PrefillCommand{2, spec});
  ASSERT_TRUE(h.core.Step(h.now));
  h.Handle(CancelCommand{2, true});
  EXPECT_TRUE(h.AtRest());

  h.Handle(PrefillCommand{3, spec});
  h.runner.FailNext(absl::InternalError("device lost"));
  h.RunUntilIdle();
  EXPECT_EQ(h[3].failed->message(), "device lost");
  EXPECT_EQ(Pages(h).pinned, 3);
  h.Handle(ReleaseCommand{3});
  EXPECT_TRUE(h.AtRest());

  h.Handle(PrefillCommand{4, spec});
  h.Handle(CancelCommand{4, false});  // nothing was offered yet
  EXPECT_TRUE(h.AtRest());
}

TEST(PrefillTest, ReleasedEarlyItStillTellsTheFirstToken) {
  CoreHarness h({}, {.token_budget = 16, .prefill_chunk = 16});
  const SequenceSpec spec = MakeSpec(RandomTokens(11, 40), 10);
  h.Handle(PrefillCommand{1, spec});
  ASSERT_TRUE(h.core.Step(h.now));
  h.Handle(ReleaseCommand{1});
  h.RunUntilIdle();
  EXPECT_EQ(h[1].computed.size(), 2u);
  EXPECT_TRUE(h[1].prefilled.has_value());
  EXPECT_TRUE(h.AtRest());
}

TEST(ReserveTest, AdoptGoesOnAfterTheFirstToken) {
  CoreHarness h;
  const SequenceSpec spec = MakeSpec(RandomTokens(12, 40), 20);
  const std::vector<TokenId> expected = Undisturbed({}, spec);
  h.Handle(ReserveCommand{1, spec});
  ASSERT_TRUE(h[1].reserved.has_value());
  EXPECT_EQ(h[1].reserved->cached_tokens, 0);
  EXPECT_EQ(Pages(h).pulling, 3);
  EXPECT_FALSE(h.core.HasWork());
  h.runner.Fill(spec.tokens, h[1].reserved->pages);
  h.Handle(AdoptCommand{1, expected[0]});
  EXPECT_EQ(h[1].tokens.size(), 1u);
  h.RunUntilIdle();
  EXPECT_EQ(h[1].tokens, expected);
  EXPECT_EQ(h.core.Load().computed_tokens, 19);

  h.Handle(ReserveCommand{2, spec});  // the pulled pages were verified, so they serve as prefix
  EXPECT_EQ(h[2].reserved->cached_tokens, 32);
  EXPECT_EQ(Pages(h).pulling, 1);
  h.runner.Fill(spec.tokens, h[2].reserved->pages, 32);
  h.Handle(AdoptCommand{2, expected[0]});
  h.RunUntilIdle();
  EXPECT_EQ(h[2].tokens, expected);
  EXPECT_TRUE(h.AtRest());
}

TEST(ReserveTest, WhatIsAdoptedInexactlyServesNobodyElse) {
  CoreHarness h;
  const SequenceSpec spec = MakeSpec(RandomTokens(12, 40), 20);
  const std::vector<TokenId> expected = Undisturbed({}, spec);
  h.Handle(ReserveCommand{1, spec});
  h.runner.Fill(spec.tokens, h[1].reserved->pages);
  h.Handle(AdoptCommand{1, expected[0], /*exact=*/false});
  h.RunUntilIdle();
  EXPECT_EQ(h[1].tokens, expected);
  EXPECT_EQ(Pages(h).cached, 0);
  h.Handle(ReserveCommand{2, spec});
  EXPECT_EQ(h[2].reserved->cached_tokens, 0);
  h.Handle(CancelCommand{2, true});
  EXPECT_TRUE(h.AtRest());
}

TEST(ReserveTest, AFirstTokenMayBeTheLast) {
  CoreHarness h;
  SequenceSpec spec = MakeSpec(RandomTokens(13, 10), 1);
  h.Handle(ReserveCommand{1, spec});
  h.Handle(AdoptCommand{1, 5});
  EXPECT_EQ(h[1].finish, FinishReason::kLength);
  spec.max_tokens = 9;
  spec.stop_tokens = {5};
  h.Handle(ReserveCommand{2, spec});
  h.Handle(AdoptCommand{2, 5});
  EXPECT_EQ(h[2].finish, FinishReason::kStop);
  h.Handle(ReserveCommand{3, spec});
  h.Handle(AdoptCommand{3, 64});
  EXPECT_EQ(h[3].failed->code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(h.AtRest());
}

TEST(ReserveTest, LostIsRecomputedAndUnfencedPagesAreQuarantined) {
  for (bool fenced : {true, false}) {
    CoreHarness h;
    const SequenceSpec spec = MakeSpec(RandomTokens(14, 40), 20);
    h.Handle(ReserveCommand{1, spec});
    const std::vector<PageId> pulled = h[1].reserved->pages;
    h.Handle(RecomputeCommand{1, fenced});
    EXPECT_EQ(Pages(h).quarantined, fenced ? 0 : 3);
    h.RunUntilIdle();
    // A late read writes into the quarantined pages: nobody must notice.
    if (!fenced) h.runner.Fill(RandomTokens(99, 40), pulled);
    EXPECT_EQ(h[1].tokens, Undisturbed({}, spec));
    if (!fenced) {
      EXPECT_EQ(Pages(h).quarantined, 3);
      h.Handle(FencedCommand{1});
    }
    EXPECT_TRUE(h.AtRest());
    h.Handle(FencedCommand{1});
    EXPECT_EQ(h.core.Load().ignored_commands, 1);
  }
}

TEST(ReserveTest, NeverIndexesWhatWasLost) {
  CoreHarness h;
  const SequenceSpec spec = MakeSpec(RandomTokens(15, 40), 2);
  h.Handle(ReserveCommand{1, spec});
  h.Handle(CancelCommand{1, true});
  EXPECT_EQ(Pages(h).free, 64);
}

TEST(ReserveTest, CancelQuarantinesUntilFenced) {
  CoreHarness h;
  const SequenceSpec spec = MakeSpec(RandomTokens(16, 40), 2);
  h.Handle(ReserveCommand{1, spec});
  h.Handle(CancelCommand{1, false});
  EXPECT_EQ(Pages(h).quarantined, 3);
  h.Handle(ReserveCommand{1, spec});
  EXPECT_EQ(h[1].failed->code(), absl::StatusCode::kAlreadyExists);
  h.Handle(FencedCommand{1});
  EXPECT_EQ(Pages(h).free, 64);
}

TEST(ReserveTest, HeldLostOrCancelledAfterTheDeadlineEndsTheQuarantine) {
  for (int how = 0; how < 3; ++how) {
    CoreHarness h;
    SequenceSpec spec = MakeSpec(RandomTokens(17, 40), 2);
    spec.deadline = h.now + absl::Seconds(1);
    h.Handle(ReserveCommand{1, spec});
    EXPECT_EQ(h.core.NextDeadline(), spec.deadline);
    h.now += absl::Seconds(1);
    EXPECT_TRUE(h.core.Step(h.now));
    EXPECT_EQ(h[1].failed->code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(Pages(h).quarantined, 3);
    if (how == 0) h.Handle(AdoptCommand{1, 3});
    if (how == 1) h.Handle(RecomputeCommand{1, true});
    if (how == 2) h.Handle(CancelCommand{1, true});
    EXPECT_EQ(Pages(h).free, 64);
    EXPECT_EQ(h.core.Load().ignored_commands, 0);
  }
}

TEST(ReserveTest, IsRefusedAtOnceWithoutPages) {
  CoreHarness h({.pages = 8, .max_context = 128});
  h.Handle(ReserveCommand{1, MakeSpec(RandomTokens(18, 80), 10)});
  h.Handle(ReserveCommand{2, MakeSpec(RandomTokens(19, 60), 10)});
  EXPECT_TRUE(h[1].reserved.has_value());
  EXPECT_EQ(h[2].failed->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(h[2].failed->message()), HasSubstr("KV pages"));
  h.Handle(CancelCommand{1, true});
  EXPECT_TRUE(h.AtRest());
}

TEST(ReserveTest, DoesNotOvertakeThoseWhoWaitForPages) {
  CoreHarness h({.pages = 8, .max_context = 128});
  h.Handle(ReserveCommand{1, MakeSpec(RandomTokens(20, 60), 10)});
  h.Handle(ServeCommand{2, MakeSpec(RandomTokens(21, 90), 10)});
  EXPECT_FALSE(h.core.Step(h.now));
  h.Handle(ReserveCommand{3, MakeSpec(RandomTokens(22, 16), 10)});
  EXPECT_EQ(h[3].failed->code(), absl::StatusCode::kResourceExhausted);
  SequenceSpec urgent = MakeSpec(RandomTokens(23, 16), 10);
  urgent.priority = 1;
  h.Handle(ReserveCommand{4, urgent});
  EXPECT_TRUE(h[4].reserved.has_value());
  h.Handle(CancelCommand{1, true});
  h.Handle(CancelCommand{4, true});
  h.RunUntilIdle();
  EXPECT_EQ(h[2].tokens.size(), 10u);
}

TEST(CancelTest, EndsASequenceInAnyState) {
  CoreHarness h({}, {.token_budget = 16, .prefill_chunk = 16});
  h.Handle(ServeCommand{1, MakeSpec(RandomTokens(24, 40), 10)});
  h.Handle(CancelCommand{1, false});
  h.Handle(ServeCommand{2, MakeSpec(RandomTokens(25, 40), 10)});
  ASSERT_TRUE(h.core.Step(h.now));
  h.Handle(CancelCommand{2, false});
  h.RunUntilIdle();
  EXPECT_TRUE(h[1].tokens.empty());
  EXPECT_TRUE(h[2].tokens.empty());
  EXPECT_TRUE(h.AtRest());
  h.Handle(CancelCommand{3, false});
  h.Handle(ReleaseCommand{3});
  h.Handle(AdoptCommand{3, 1});
  h.Handle(RecomputeCommand{3, false});
  EXPECT_EQ(h.core.Load().ignored_commands, 4);
}

}  // namespace
}  // namespace baton
