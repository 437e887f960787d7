#include <cmath>

#include "common/block_hash.h"
#include "tests/unit/services/worker/core_harness.h"

namespace baton {
namespace {

struct DecodeCore : testing::Test, CoreHarness {
  DecodeCore() : CoreHarness(WorkerRole::kDecode) {}
};

TEST_F(DecodeCore, ReservesPullsAdoptsAndStreams) {
  core.OnDecode(1, Decode(1), now);
  Take();
  ASSERT_EQ(engine.size(), 1u);
  EXPECT_EQ(engine[0].rank, 1u);
  const SeqId id = EngineCommandOf<ReserveCommand>()->id;
  EXPECT_TRUE(events.empty());

  Engine(1, ReservedEvent{id, {3, 4, 5}, 16});
  Take();
  EXPECT_EQ(EventOf<DecodeAccepted>()->cached_tokens, 16);
  const auto* pull = HandoffCommandOf<PullBegin>();
  ASSERT_NE(pull, nullptr);
  EXPECT_EQ(pull->begin, 16);
  EXPECT_EQ(pull->end, 40);
  EXPECT_EQ(pull->rank, 1u);
  EXPECT_EQ(pull->owner.endpoint, "inproc://owner");
  EXPECT_EQ(pull->digest, TokenDigest(Spec().tokens));
  EXPECT_THAT(pull->pages, testing::ElementsAre(3, 4, 5));

  Handoff(PullHeld{Id(1), 77});
  Take();
  EXPECT_EQ(EngineCommandOf<AdoptCommand>()->first_token, 77);
  EXPECT_TRUE(EngineCommandOf<AdoptCommand>()->exact);
  Token(id, 0);
  Token(id, 1, FinishReason::kLength);
  Take();
  EXPECT_EQ(events.size(), 3u);
  EXPECT_EQ(EventOf<DecodeFinished>()->kv, KvOutcome::kHeld);
  EXPECT_FALSE(EventOf<DecodeFinished>()->inexact);
  EXPECT_EQ(EventOf<DecodeFinished>()->reason, FinishReason::kLength);
  EXPECT_EQ(EndedWith(), absl::StatusCode::kOk);
  EXPECT_TRUE(engine.empty());
  EXPECT_EQ(core.jobs(), 0u);
}

// Prefill's report of the first token may come after decode's: both must say the same.
TEST_F(DecodeCore, ThePulledTokenHasTheLogProbabilitiesThatCameWithIt) {
  const SeqId id = Pulling();
  Handoff(PullHeld{.id = Id(1), .first_token = 77, .scores = {{77, -2}, {5, -1}, {77, -2}}});
  Take();
  Engine(1, TokenEvent{.id = id, .position = 0, .token = 77});
  Take();
  const auto* token = EventOf<GeneratedToken>();
  ASSERT_NE(token, nullptr);
  EXPECT_EQ(token->logprob, -2);
  ASSERT_EQ(token->top.size(), 2u);
  EXPECT_EQ(token->top[0].token, 5);
  EXPECT_EQ(token->top[0].logprob, -1);
}

TEST_F(DecodeCore, ImpossibleLogProbabilitiesAreNotTakenOver) {
  const std::vector<std::vector<TokenScore>> impossible = {
      {}, {{76, -2}}, {{77, -2}, {-1, 0}}, {{77, -2}, {1 << 30, 0}}, {{77, NAN}}};
  for (const auto& scores : impossible) {
    CoreHarness fresh(WorkerRole::kDecode);
    const SeqId id = fresh.Pulling();
    fresh.Handoff(PullHeld{.id = Id(1), .first_token = 77, .scores = scores});
    fresh.Take();
    fresh.Engine(1, TokenEvent{.id = id, .position = 0, .token = 77});
    fresh.Take();
    ASSERT_NE(fresh.EventOf<GeneratedToken>(), nullptr);
    EXPECT_EQ(fresh.EventOf<GeneratedToken>()->logprob, 0);
    EXPECT_TRUE(fresh.EventOf<GeneratedToken>()->top.empty());
  }
}

TEST_F(DecodeCore, WhatIsInexactIsSharedWithNobodyAndSaidToBeSo) {
  const SeqId id = Pulling();
  Handoff(PullHeld{.id = Id(1), .first_token = 77, .inexact = true});
  Take();
  EXPECT_FALSE(EngineCommandOf<AdoptCommand>()->exact);
  Token(id, 0, FinishReason::kLength);
  Take();
  EXPECT_TRUE(EventOf<DecodeFinished>()->inexact);
  EXPECT_EQ(core.counters().pulled_inexact, 1u);
}

TEST_F(DecodeCore, WithoutSourceServesHere) {
  core.OnDecode(1, Decode(1, 0, false), now);
  Take();
  const SeqId id = EngineCommandOf<ServeCommand>()->id;
  EXPECT_NE(EventOf<DecodeAccepted>(), nullptr);
  Token(id, 0, FinishReason::kStop);
  Take();
  EXPECT_EQ(EventOf<DecodeFinished>()->kv, KvOutcome::kLocal);
  EXPECT_EQ(EndedWith(), absl::StatusCode::kOk);
}

TEST_F(DecodeCore, WhatTheCacheGaveOfALocalPromptIsSaidWithTheFirstToken) {
  core.OnDecode(1, Decode(1, 0, false), now);
  Take();
  const SeqId id = EngineCommandOf<ServeCommand>()->id;
  Engine(1, TokenEvent{.id = id, .token = 5, .cached_tokens = 32});
  Take();
  ASSERT_NE(EventOf<GeneratedToken>(), nullptr);
  EXPECT_EQ(EventOf<GeneratedToken>()->cached_tokens, 32);
}

TEST_F(DecodeCore, LostAndFencedRecomputesInTheSamePages) {
  const SeqId id = Pulling();
  Handoff(PullLost{Id(1), absl::UnavailableError("owner gone"), true});
  Take();
  EXPECT_TRUE(EngineCommandOf<RecomputeCommand>()->fenced);
  Token(id, 0, FinishReason::kLength);
  Take();
  EXPECT_EQ(EventOf<DecodeFinished>()->kv, KvOutcome::kLost);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(DecodeCore, AFirstTokenThatIsNoneIsLostAndNoFailure) {
  for (const TokenId token : {-1, 1000}) {
    CoreHarness fresh(WorkerRole::kDecode);
    const SeqId id = fresh.Pulling();
    fresh.Handoff(PullHeld{Id(1), token});
    fresh.Take();
    ASSERT_NE(fresh.EngineCommandOf<RecomputeCommand>(), nullptr);
    EXPECT_TRUE(fresh.EngineCommandOf<RecomputeCommand>()->fenced);
    fresh.Token(id, 0, FinishReason::kLength);
    fresh.Take();
    EXPECT_EQ(fresh.EventOf<DecodeFinished>()->kv, KvOutcome::kLost);
    EXPECT_EQ(fresh.EndedWith(), absl::StatusCode::kOk);
    EXPECT_EQ(fresh.core.jobs(), 0u);
  }
}

TEST_F(DecodeCore, LostUnfencedKeepsTheFenceOwedAfterTheCallEnded) {
  const SeqId id = Pulling();
  Handoff(PullLost{Id(1), absl::UnavailableError("owner gone"), false});
  Take();
  EXPECT_FALSE(EngineCommandOf<RecomputeCommand>()->fenced);
  Token(id, 0, FinishReason::kLength);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kOk);
  EXPECT_EQ(core.jobs(), 1u);
  Handoff(PullFenced{Id(1)});
  Take();
  EXPECT_EQ(EngineCommandOf<FencedCommand>()->id, id);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(DecodeCore, BrokenBeforeTheReserveIsAnswered) {
  core.OnDecode(1, Decode(1), now);
  Take();
  const SeqId id = EngineCommandOf<ReserveCommand>()->id;
  core.OnCallBroken(1, now);
  Take();
  EXPECT_TRUE(EngineCommandOf<CancelCommand>()->fenced);
  EXPECT_EQ(EndedWith(), absl::StatusCode::kCancelled);
  Engine(1, ReservedEvent{id, {3, 4, 5}, 0});
  Take();
  EXPECT_TRUE(Quiet());
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(DecodeCore, BrokenDuringThePullQuarantinesUntilFenced) {
  const SeqId id = Pulling();
  core.OnCallBroken(1, now);
  Take();
  EXPECT_FALSE(EngineCommandOf<CancelCommand>()->fenced);
  EXPECT_NE(HandoffCommandOf<PullCancel>(), nullptr);
  EXPECT_EQ(EndedWith(), absl::StatusCode::kCancelled);
  Handoff(PullLost{Id(1), absl::CancelledError(""), false});
  Take();
  EXPECT_TRUE(Quiet());
  Handoff(PullFenced{Id(1)});
  Take();
  EXPECT_EQ(EngineCommandOf<FencedCommand>()->id, id);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(DecodeCore, BrokenDuringThePullFencedAtOnce) {
  const SeqId id = Pulling();
  core.OnCallBroken(1, now);
  Handoff(PullLost{Id(1), absl::CancelledError(""), true});
  Take();
  EXPECT_EQ(EngineCommandOf<FencedCommand>()->id, id);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(DecodeCore, HeldThatCrossesACancelOnlyFences) {
  Pulling();
  core.OnCallBroken(1, now);
  Handoff(PullHeld{Id(1), 5});
  Take();
  EXPECT_EQ(EngineCommandOf<AdoptCommand>(), nullptr);
  EXPECT_NE(EngineCommandOf<FencedCommand>(), nullptr);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(DecodeCore, BrokenAfterHeldCancelsFenced) {
  Pulling();
  Handoff(PullHeld{Id(1), 5});
  core.OnCallBroken(1, now);
  Take();
  EXPECT_TRUE(EngineCommandOf<CancelCommand>()->fenced);
  EXPECT_EQ(HandoffCommandOf<PullCancel>(), nullptr);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(DecodeCore, BrokenDuringAnUnfencedRecompute) {
  Pulling();
  Handoff(PullLost{Id(1), absl::UnavailableError(""), false});
  core.OnCallBroken(1, now);
  Take();
  EXPECT_FALSE(EngineCommandOf<CancelCommand>()->fenced);
  EXPECT_EQ(HandoffCommandOf<PullCancel>(), nullptr);
  Handoff(PullFenced{Id(1)});
  Take();
  EXPECT_NE(EngineCommandOf<FencedCommand>(), nullptr);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(DecodeCore, EngineFailureWhilePullingCancelsThePull) {
  const SeqId id = Pulling();
  Engine(1, FailedEvent{id, absl::DeadlineExceededError("late")});
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_NE(HandoffCommandOf<PullCancel>(), nullptr);
  EXPECT_TRUE(engine.empty());
  Handoff(PullLost{Id(1), absl::CancelledError(""), true});
  Take();
  EXPECT_NE(EngineCommandOf<FencedCommand>(), nullptr);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(DecodeCore, RefusedReserveMayComeAgainWithTheSameAttempt) {
  core.OnDecode(1, Decode(1), now);
  Take();
  Engine(1, FailedEvent{EngineCommandOf<ReserveCommand>()->id, absl::ResourceExhaustedError("no pages")});
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kResourceExhausted);
  core.OnDecode(2, Decode(1), now);
  Take();
  EXPECT_NE(EngineCommandOf<ReserveCommand>(), nullptr);
}

TEST_F(DecodeCore, ReaderTooSlowIsCutOffAndToldSo) {
  core.OnDecode(1, Decode(1, 0, false), now);
  Take();
  const SeqId id = EngineCommandOf<ServeCommand>()->id;
  for (int64_t i = 0; i < 3; ++i) Token(id, i);
  core.OnSent(1, 2);
  for (int64_t i = 3; i < 5; ++i) Token(id, i);
  Take();
  EXPECT_TRUE(ended.empty());
  Token(id, 5);
  Take();
  EXPECT_TRUE(events.empty());
  EXPECT_EQ(EndedWith(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(EngineCommandOf<CancelCommand>()->fenced);
  EXPECT_EQ(core.counters().too_slow, 1u);
}

TEST_F(DecodeCore, APositionOutOfTurnIsAnErrorAndNeverEmitted) {
  core.OnDecode(1, Decode(1, 0, false), now);
  Take();
  Token(EngineCommandOf<ServeCommand>()->id, 1);
  Take();
  EXPECT_TRUE(events.empty());
  EXPECT_EQ(EndedWith(), absl::StatusCode::kInternal);
  EXPECT_NE(EngineCommandOf<CancelCommand>(), nullptr);
}

TEST_F(DecodeCore, AReplayGoesOnWhereTheTokensEnd) {
  DecodeCall call = Decode(1, 3, false);
  call.spec.prompt_tokens = 38;
  core.OnDecode(1, call, now);
  Take();
  Token(EngineCommandOf<ServeCommand>()->id, 2);
  Take();
  EXPECT_EQ(EventOf<GeneratedToken>()->position, 2);
}

TEST_F(DecodeCore, OutOfTimeEndsTheCallWhateverTheEngineDoes) {
  DecodeCall call = Decode(1);
  call.spec.deadline = now + absl::Seconds(1);
  core.OnDecode(1, call, now);
  Take();
  core.OnTick(now + absl::Seconds(2));
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(core.jobs(), 0u);
}

}  // namespace
}  // namespace baton
