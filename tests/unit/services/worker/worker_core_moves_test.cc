// Share and Fetch: prefix blocks that move from rank to rank.

#include "common/block_hash.h"
#include "tests/unit/services/worker/core_harness.h"

namespace baton {
namespace {

struct MovesCore : testing::Test, CoreHarness {
  MovesCore() : CoreHarness(WorkerRole::kDecode) {}

  static PrefixMove Move(uint64_t id, uint32_t n = 0) {
    return {.id = {1, id}, .attempt = {1, n}, .tokens = Spec(40).tokens};
  }
  static ShareCall Share(uint64_t id, uint32_t n = 0) {
    return {.move = Move(id, n), .rank = 1, .reader_epoch = {9, 9}, .reader_rank = 3};
  }
  static FetchCall Fetch(uint64_t id, uint32_t n = 0) {
    return {.move = Move(id, n), .rank = 1, .source = {.endpoint = "inproc://owner", .epoch = {7, 7}}};
  }
  SeqId Sharing(CallId call = 1) {
    core.OnShare(call, Share(call), now);
    Take();
    return EngineCommandOf<ShareCommand>()->id;
  }
  SeqId Shared(CallId call = 1) {
    const SeqId id = Sharing(call);
    Engine(1, SharedEvent{id, {4, 5}, 32, 6}, {1, 2, 3});
    Take();
    return id;
  }
  SeqId Fetching(CallId call = 1) {
    core.OnFetch(call, Fetch(call), now);
    Take();
    const SeqId id = EngineCommandOf<FetchCommand>()->id;
    Engine(1, ReservedEvent{id, {7, 8}, 16, 32});
    Take();
    return id;
  }
};

TEST_F(MovesCore, ShareOffersWhatTheCacheHasAsOneHandoff) {
  const SeqId id = Sharing();
  EXPECT_TRUE(events.empty());
  Engine(1, SharedEvent{id, {4, 5}, 32, 6}, {1, 2, 3});
  Take();
  EXPECT_EQ(EventOf<PrefixShared>()->tokens, 32);
  const OwnBegin* begin = HandoffCommandOf<OwnBegin>();
  EXPECT_EQ(begin->id, Id(1));
  EXPECT_EQ(begin->tokens, 32);
  EXPECT_EQ(begin->reader_epoch, (Epoch{9, 9}));
  EXPECT_EQ(begin->reader_rank, 3u);
  const OwnOffer* offer = HandoffCommandOf<OwnOffer>();
  EXPECT_EQ(std::tie(offer->begin, offer->end, offer->first_layer, offer->end_layer),
            std::make_tuple(int64_t{0}, int64_t{32}, 0, 6));
  EXPECT_EQ(offer->pages, (std::vector<PageId>{4, 5}));
  EXPECT_EQ(offer->checksums, (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_EQ(HandoffCommandOf<OwnSeal>()->digest, TokenDigest(Spec(32).tokens));  // of what moves, no more

  Handoff(OwnEnded{Id(1), true, ""});
  Take();
  EXPECT_EQ(EngineCommandOf<ReleaseCommand>()->id, id);
  EXPECT_EQ(EventOf<PrefillHandoffEnded>()->outcome, KvOutcome::kHeld);
  EXPECT_EQ(EndedWith(), absl::StatusCode::kOk);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(MovesCore, SharingNothingEndsAtOnce) {
  const SeqId id = Sharing();
  Engine(1, SharedEvent{id, {}, 0, 6});
  Take();
  EXPECT_EQ(EventOf<PrefixShared>()->tokens, 0);
  EXPECT_EQ(EngineCommandOf<ReleaseCommand>()->id, id);
  EXPECT_TRUE(handoff.empty());
  EXPECT_EQ(EndedWith(), absl::StatusCode::kOk);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(MovesCore, ABrokenShareKeepsItsPagesUntilTheLeaseEnds) {
  const SeqId id = Shared();
  core.OnCallBroken(1, now);
  Take();
  EXPECT_NE(HandoffCommandOf<OwnRevoke>(), nullptr);
  EXPECT_TRUE(engine.empty());
  Handoff(OwnEnded{Id(1), false, "revoked"});
  Take();
  EXPECT_EQ(EngineCommandOf<ReleaseCommand>()->id, id);
  EXPECT_EQ(core.jobs(), 0u);

  const SeqId early = Sharing(2);
  core.OnCallBroken(2, now);
  Take();
  EXPECT_TRUE(EngineCommandOf<CancelCommand>()->fenced);  // nobody reads: the pins go at once
  Engine(1, SharedEvent{early, {4}, 16, 6}, {1});
  Take();
  EXPECT_TRUE(Quiet());
}

TEST_F(MovesCore, FetchPublishesOnlyWhenHeld) {
  const SeqId id = Fetching();
  EXPECT_EQ(core.open_calls(), 1u);
  Handoff(PullHeld{Id(1), 0});
  Take();
  EXPECT_EQ(EngineCommandOf<PublishCommand>()->id, id);
  const PrefixFetched* fetched = EventOf<PrefixFetched>();
  EXPECT_EQ(fetched->outcome, KvOutcome::kHeld);
  EXPECT_EQ(fetched->cached_tokens, 16);
  EXPECT_EQ(fetched->fetched_tokens, 16);
  EXPECT_EQ(EndedWith(), absl::StatusCode::kOk);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(MovesCore, FetchPullsTheMissingBlocksAndNoMore) {
  core.OnFetch(1, Fetch(1), now);
  Take();
  Engine(1, ReservedEvent{EngineCommandOf<FetchCommand>()->id, {7, 8}, 16, 32});
  Take();
  const PullBegin* pull = HandoffCommandOf<PullBegin>();
  EXPECT_EQ(pull->begin, 16);
  EXPECT_EQ(pull->end, 32);
  EXPECT_EQ(pull->owner.epoch, (Epoch{7, 7}));
  EXPECT_EQ(pull->digest, TokenDigest(Spec(40).tokens));
  EXPECT_TRUE(events.empty());
}

TEST_F(MovesCore, FetchOfWhatIsThereMovesNothing) {
  core.OnFetch(1, Fetch(1), now);
  Take();
  const SeqId id = EngineCommandOf<FetchCommand>()->id;
  Engine(1, ReservedEvent{id, {7, 8}, 32, 32});
  Take();
  EXPECT_EQ(EngineCommandOf<PublishCommand>()->id, id);
  EXPECT_TRUE(handoff.empty());
  EXPECT_EQ(EventOf<PrefixFetched>()->outcome, KvOutcome::kLocal);
  EXPECT_EQ(EndedWith(), absl::StatusCode::kOk);
}

TEST_F(MovesCore, BlocksOfAnotherFingerprintArePublishedNowhere) {
  const SeqId id = Fetching();
  Handoff(PullHeld{.id = Id(1), .inexact = true});
  Take();
  EXPECT_EQ(EngineCommandOf<PublishCommand>(), nullptr);
  ASSERT_NE(EngineCommandOf<CancelCommand>(), nullptr);
  EXPECT_EQ(EngineCommandOf<CancelCommand>()->id, id);
  EXPECT_TRUE(EngineCommandOf<CancelCommand>()->fenced);
  EXPECT_EQ(EventOf<PrefixFetched>()->outcome, KvOutcome::kLost);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(MovesCore, ALostFetchIsQuarantinedUntilFenced) {
  for (const bool fenced : {true, false}) {
    const CallId call = fenced ? 1 : 2;
    const SeqId id = Fetching(call);
    Handoff(PullLost{Id(call), absl::UnavailableError("the lease expired"), fenced});
    Take();
    EXPECT_EQ(EngineCommandOf<CancelCommand>()->id, id);
    EXPECT_EQ(EngineCommandOf<CancelCommand>()->fenced, fenced);
    EXPECT_EQ(EventOf<PrefixFetched>()->outcome, KvOutcome::kLost);
    EXPECT_EQ(EventOf<PrefixFetched>()->fetched_tokens, 0);
    EXPECT_EQ(EventOf<PrefixFetched>()->detail, "the lease expired");
    EXPECT_EQ(EndedWith(), absl::StatusCode::kOk);
    EXPECT_EQ(core.jobs(), fenced ? 0u : 1u);
    if (fenced) continue;
    Handoff(PullFenced{Id(call)});
    Take();
    EXPECT_EQ(EngineCommandOf<FencedCommand>()->id, id);
    EXPECT_EQ(core.jobs(), 0u);
  }
}

TEST_F(MovesCore, ABrokenFetchNeverPublishes) {
  const SeqId id = Fetching();
  core.OnCallBroken(1, now);
  Take();
  EXPECT_NE(HandoffCommandOf<PullCancel>(), nullptr);
  EXPECT_FALSE(EngineCommandOf<CancelCommand>()->fenced);
  Handoff(PullHeld{Id(1), 0});  // crossed the cancel
  Take();
  EXPECT_EQ(EngineCommandOf<FencedCommand>()->id, id);
  EXPECT_EQ(EngineCommandOf<PublishCommand>(), nullptr);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(MovesCore, AHigherRoundEndsTheLowerOne) {
  Shared();
  core.OnShare(2, Share(1, 1), now);
  Take();
  EXPECT_EQ(ended[0].status.code(), absl::StatusCode::kAborted);
  core.OnShare(3, Share(1, 0), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kAborted);
  core.OnShare(4, Share(1, 1), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kAborted);  // served already
}

TEST_F(MovesCore, AForgottenRoundIsNotServedAgainWhileItsHandoffLasts) {
  Fetching();
  core.OnCallBroken(1, now);
  Take();
  now += absl::Hours(1);  // the attempt is forgotten; the reads are still not fenced
  core.OnTick(now);
  core.OnFetch(2, Fetch(1), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kAborted);
}

TEST_F(MovesCore, OnlySharesAreAdmittedWhileDraining) {
  core.OnDrain(now + absl::Seconds(10));
  core.OnFetch(1, Fetch(1), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kUnavailable);
  Shared(2);
  now += absl::Seconds(10);
  core.OnTick(now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kUnavailable);
  EXPECT_NE(HandoffCommandOf<OwnRevoke>(), nullptr);
}

TEST_F(MovesCore, AShareAndAPrefillOfOneIdAreNotBothServed) {
  core.OnRole(WorkerRole::kPrefill);
  const SeqId id = Sharing(1);
  core.OnPrefill(2, Prefill(1), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kAborted);
  EXPECT_TRUE(handoff.empty());
  Engine(1, SharedEvent{id, {4, 5}, 32, 6}, {1, 2, 3});
  Take();
  EXPECT_NE(HandoffCommandOf<OwnBegin>(), nullptr);
  core.OnPrefill(3, Prefill(4), now);
  core.OnShare(4, Share(4), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kAborted);
  Handoff(OwnEnded{Id(1), true, ""});
  Handoff(OwnEnded{Id(4), false, ""});
  Take();
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(MovesCore, AFetchAndADecodeOfOneIdAreNotBothServed) {
  core.OnFetch(1, Fetch(1), now);
  core.OnDecode(2, Decode(1), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kAborted);
  const SeqId id = EngineCommandOf<FetchCommand>()->id;
  Engine(1, ReservedEvent{id, {7, 8}, 16, 32});
  core.OnDecode(3, Decode(4), now);
  core.OnFetch(4, Fetch(4), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kAborted);
  Handoff(PullHeld{Id(1), 0});
  core.OnCallBroken(3, now);
  Take();
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(MovesCore, WhatTheGateRefusesTakesNoPlaceInTheAttemptTable) {
  WorkerCoreOptions options = Options(WorkerRole::kDecode);
  options.attempts.max_streams = 1;
  CoreHarness small(options);
  for (uint64_t i = 1; i <= 3; ++i) {
    small.core.OnPrefill(i, Prefill(i), now);
    small.Take();
    EXPECT_EQ(small.EndedWith(), absl::StatusCode::kUnavailable);
  }
  small.core.OnDecode(4, Decode(4), now);
  small.Take();
  EXPECT_TRUE(small.ended.empty());
}

TEST_F(MovesCore, TheRoleGateIsNoneOfTheirs) {
  core.OnRole(WorkerRole::kPrefill);
  Shared(1);
  Fetching(2);
  EXPECT_EQ(core.open_calls(), 2u);
}

TEST_F(MovesCore, NonsenseIsRefusedInWords) {
  FetchCall bad = Fetch(1);
  bad.move.tokens.clear();
  core.OnFetch(1, bad, now);
  bad = Fetch(2);
  bad.move.tokens.assign(513, 1);
  core.OnFetch(2, bad, now);
  bad = Fetch(3);
  bad.move.tokens[5] = 1000;
  core.OnFetch(3, bad, now);
  bad = Fetch(4);
  bad.rank = 2;
  core.OnFetch(4, bad, now);
  ShareCall nameless = Share(5);
  nameless.move.id = {};
  core.OnShare(5, nameless, now);
  Take();
  ASSERT_EQ(ended.size(), 5u);
  for (const EndCall& end : ended) EXPECT_EQ(end.status.code(), absl::StatusCode::kInvalidArgument);
  ShareCall late = Share(6);
  late.move.deadline = now;
  core.OnShare(6, late, now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(MovesCore, RefusedByTheEngineTheSameRoundMayComeAgain) {
  core.OnFetch(1, Fetch(1), now);
  Take();
  Engine(1, FailedEvent{EngineCommandOf<FetchCommand>()->id, absl::ResourceExhaustedError("no pages")});
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kResourceExhausted);
  core.OnFetch(2, Fetch(1), now);
  Take();
  EXPECT_NE(EngineCommandOf<FetchCommand>(), nullptr);
}

}  // namespace
}  // namespace baton
