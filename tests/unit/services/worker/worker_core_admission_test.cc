#include "tests/unit/services/worker/core_harness.h"

namespace baton {
namespace {

struct Admission : testing::Test, CoreHarness {
  Admission() : CoreHarness(WorkerRole::kDecode) {}
};

TEST_F(Admission, EqualAndLowerAttemptsAreSuperseded) {
  core.OnDecode(1, Decode(1, 5), now);
  Take();
  core.OnDecode(2, Decode(1, 5), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kAborted);
  core.OnDecode(3, Decode(1, 4), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kAborted);
  EXPECT_EQ(core.open_calls(), 1u);
  EXPECT_EQ(core.counters().superseded, 2u);
}

TEST_F(Admission, AHigherAttemptEndsTheOlderCallFirst) {
  Pulling();
  core.OnDecode(2, Decode(1, 1), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kAborted);
  EXPECT_EQ(ended[0].call, 1u);
  EXPECT_NE(HandoffCommandOf<PullCancel>(), nullptr);
  ASSERT_EQ(engine.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<CancelCommand>(engine[0].command));
  EXPECT_TRUE(std::holds_alternative<ReserveCommand>(engine[1].command));
}

TEST_F(Admission, AHigherClaimBeatsAHigherN) {
  core.OnDecode(1, Decode(1, 5), now);
  DecodeCall call = Decode(1, 0);
  call.attempt.claim = 2;
  core.OnDecode(2, call, now);
  Take();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].call, 1u);
}

TEST_F(Admission, AFinishedAttemptIsRemembered) {
  core.OnDecode(1, Decode(1, 0, false), now);
  Take();
  Token(EngineCommandOf<ServeCommand>()->id, 0, FinishReason::kStop);
  Take();
  core.OnDecode(2, Decode(1, 0, false), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kAborted);
  core.OnTick(now += absl::Minutes(6));
  core.OnDecode(3, Decode(1, 0, false), now);
  Take();
  EXPECT_TRUE(ended.empty());
}

TEST_F(Admission, ASupersedingCallThatIsRefusedStillEndsTheOlder) {
  core.OnDecode(1, Decode(1, 0), now);
  core.OnDrain(now + absl::Seconds(9));
  core.OnDecode(2, Decode(1, 1), now);
  Take();
  ASSERT_EQ(ended.size(), 2u);
  EXPECT_EQ(ended[0].call, 1u);
  EXPECT_TRUE(absl::IsAborted(ended[0].status));
  EXPECT_TRUE(absl::IsUnavailable(ended[1].status));
}

TEST_F(Admission, TheRoleGateTurns) {
  core.OnPrefill(1, Prefill(1), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kUnavailable);
  core.OnRole(WorkerRole::kPrefill);
  core.OnPrefill(2, Prefill(1), now);
  core.OnDecode(3, Decode(2), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kUnavailable);
  EXPECT_NE(EngineCommandOf<PrefillCommand>(), nullptr);
}

TEST_F(Admission, OneCallTooManyIsRefused) {
  for (CallId call = 1; call <= 9; ++call) core.OnDecode(call, Decode(call), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ended[0].call, 9u);
}

TEST_F(Admission, WhatCannotBeServedIsInvalid) {
  DecodeCall rank = Decode(1), stream = Decode(2), empty = Decode(3);
  rank.rank = 2;
  stream.stream = {};
  empty.spec.tokens.clear();
  CallId id = 0;
  for (const DecodeCall& call : {rank, stream, empty}) {
    core.OnDecode(++id, call, now);
    Take();
    EXPECT_EQ(EndedWith(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(Admission, ADeadlineThatPassedIsRefused) {
  DecodeCall call = Decode(1);
  call.spec.deadline = now;
  core.OnDecode(1, call, now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(Admission, DrainStopsAdmissionAndCutsOffAtItsDeadline) {
  core.OnDecode(1, Decode(1, 0, false), now);
  Take();
  const SeqId first = EngineCommandOf<ServeCommand>()->id;
  core.OnDecode(2, Decode(2, 0, false), now);
  core.OnDrain(now + absl::Seconds(10));
  core.OnDrain(now + absl::Seconds(20));
  core.OnDecode(3, Decode(3), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kUnavailable);
  Token(first, 0, FinishReason::kStop);
  core.OnTick(now + absl::Seconds(9));
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kOk);
  core.OnTick(now + absl::Seconds(10));
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(core.drain().ended, 1u);
  EXPECT_EQ(core.drain().cut_off, 1u);
  EXPECT_EQ(core.open_calls(), 0u);
}

TEST_F(Admission, DrainDeadlineEndsAllAtOnce) {
  Pulling();
  core.OnDrainDeadline(now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kUnavailable);
  EXPECT_NE(HandoffCommandOf<PullCancel>(), nullptr);
}

}  // namespace
}  // namespace baton
