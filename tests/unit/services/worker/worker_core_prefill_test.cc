#include "common/block_hash.h"
#include "tests/unit/services/worker/core_harness.h"

namespace baton {
namespace {

struct PrefillCore : testing::Test, CoreHarness {
  PrefillCore() : CoreHarness(WorkerRole::kPrefill) {}

  SeqId Computing() {
    core.OnPrefill(1, Prefill(1), now);
    Take();
    return EngineCommandOf<PrefillCommand>()->id;
  }
  SeqId Sealed() {
    const SeqId id = Computing();
    Engine(0, PrefilledEvent{id, {.id = id, .token = 9}});
    Take();
    return id;
  }
};

TEST_F(PrefillCore, OffersSealsAndReleases) {
  core.OnPrefill(1, Prefill(1), now);
  Take();
  const SeqId id = EngineCommandOf<PrefillCommand>()->id;
  EXPECT_EQ(HandoffCommandOf<OwnBegin>()->tokens, 40);
  EXPECT_EQ(HandoffCommandOf<OwnBegin>()->reader_epoch, (Epoch{9, 9}));

  Engine(0, ComputedEvent{id, 0, 16, 0, 4, {1, 2, 3}, true}, {1, 2});
  Take();
  EXPECT_EQ(HandoffCommandOf<OwnOffer>()->checksums, (std::vector<uint64_t>{1, 2}));
  Engine(0, ComputedEvent{id, 16, 40, 0, 4, {1, 2, 3}, false}, {3});
  Engine(
      0,
      PrefilledEvent{
          id, {.id = id, .token = 9, .logprob = -1.5f, .top = {{4, -0.5f}}, .finish = FinishReason::kStop}});
  Take();
  EXPECT_EQ(HandoffCommandOf<OwnOffer>()->end, 40);
  EXPECT_EQ(HandoffCommandOf<OwnSeal>()->first_token, 9);
  ASSERT_EQ(HandoffCommandOf<OwnSeal>()->scores.size(), 2u);
  EXPECT_EQ(HandoffCommandOf<OwnSeal>()->scores[0].token, 9);
  EXPECT_EQ(HandoffCommandOf<OwnSeal>()->scores[0].logprob, -1.5f);
  EXPECT_EQ(HandoffCommandOf<OwnSeal>()->scores[1].token, 4);
  EXPECT_EQ(HandoffCommandOf<OwnSeal>()->digest, TokenDigest(Spec().tokens));
  EXPECT_EQ(EventOf<PrefillFirstToken>()->cached_tokens, 16);
  EXPECT_EQ(EventOf<PrefillFirstToken>()->finish, FinishReason::kStop);
  EXPECT_TRUE(ended.empty());

  Handoff(OwnEnded{Id(1), true, ""});
  Take();
  EXPECT_EQ(EngineCommandOf<ReleaseCommand>()->id, id);
  EXPECT_EQ(EventOf<PrefillHandoffEnded>()->outcome, KvOutcome::kHeld);
  EXPECT_EQ(EndedWith(), absl::StatusCode::kOk);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(PrefillCore, OffersOnlyWholeAtomsUntilTheEnd) {
  EXPECT_EQ(Offerable(0, 20, 40), (std::pair<int64_t, int64_t>{0, 16}));
  EXPECT_EQ(Offerable(20, 40, 40), (std::pair<int64_t, int64_t>{16, 40}));
  EXPECT_EQ(Offerable(17, 30, 40), (std::pair<int64_t, int64_t>{16, 16}));
  const SeqId id = Computing();
  Engine(0, ComputedEvent{id, 0, 10, 0, 4, {1}, false});
  Take();
  EXPECT_TRUE(Quiet());
}

TEST_F(PrefillCore, LostBeforeTheEndStopsComputing) {
  const SeqId id = Computing();
  Handoff(OwnEnded{Id(1), false, "reader gone"});
  Take();
  EXPECT_EQ(EngineCommandOf<CancelCommand>()->id, id);
  EXPECT_EQ(EventOf<PrefillHandoffEnded>()->outcome, KvOutcome::kLost);
  EXPECT_EQ(EventOf<PrefillHandoffEnded>()->detail, "reader gone");
  EXPECT_EQ(EndedWith(), absl::StatusCode::kOk);
  Engine(0, PrefilledEvent{id, {.id = id}});
  Take();
  EXPECT_TRUE(Quiet());
}

TEST_F(PrefillCore, BrokenWhileComputingKeepsPagesUntilTheLeaseEnds) {
  const SeqId id = Computing();
  core.OnCallBroken(1, now);
  Take();
  EXPECT_NE(HandoffCommandOf<OwnRevoke>(), nullptr);
  EXPECT_FALSE(EngineCommandOf<CancelCommand>()->fenced);
  EXPECT_EQ(EndedWith(), absl::StatusCode::kCancelled);
  Engine(0, ComputedEvent{id, 0, 16, 0, 4, {1}, false}, {1});
  Take();
  EXPECT_TRUE(Quiet());
  Handoff(OwnEnded{Id(1), false, "revoked"});
  Take();
  EXPECT_NE(EngineCommandOf<ReleaseCommand>(), nullptr);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(PrefillCore, BrokenWhileComputingAndDoneBeforeTheLeaseEnds) {
  const SeqId id = Computing();
  core.OnCallBroken(1, now);
  Engine(0, PrefilledEvent{id, {.id = id}});
  Take();
  EXPECT_EQ(HandoffCommandOf<OwnSeal>(), nullptr);
  EXPECT_TRUE(events.empty());
  Handoff(OwnEnded{Id(1), false, "revoked"});
  Take();
  EXPECT_NE(EngineCommandOf<ReleaseCommand>(), nullptr);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(PrefillCore, BrokenAfterSealRevokesAndReleasesOnce) {
  Sealed();
  core.OnCallBroken(1, now);
  core.OnCallBroken(1, now);
  Take();
  EXPECT_NE(HandoffCommandOf<OwnRevoke>(), nullptr);
  EXPECT_EQ(EndedWith(), absl::StatusCode::kCancelled);
  Handoff(OwnEnded{Id(1), true, ""});
  Handoff(OwnEnded{Id(1), true, ""});
  Take();
  EXPECT_NE(EngineCommandOf<ReleaseCommand>(), nullptr);
  EXPECT_TRUE(events.empty());
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(PrefillCore, EngineFailureRevokesAndReleasesWhatWasOffered) {
  const SeqId id = Computing();
  Engine(0, FailedEvent{id, absl::ResourceExhaustedError("no pages")});
  Take();
  EXPECT_NE(HandoffCommandOf<OwnRevoke>(), nullptr);
  EXPECT_EQ(EndedWith(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(engine.empty());
  Handoff(OwnEnded{Id(1), false, "revoked"});
  Take();
  EXPECT_EQ(EngineCommandOf<ReleaseCommand>()->id, id);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(PrefillCore, EventsOfAnotherRankAreNotTaken) {
  const SeqId id = Computing();
  Engine(1, PrefilledEvent{id, {.id = id}});
  Take();
  EXPECT_TRUE(Quiet());
}

}  // namespace
}  // namespace baton
