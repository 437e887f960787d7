// A stream's life with every fault, in every state.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/services/router/session_test_support.h"

namespace baton::router {
namespace {

using enum StreamFinish;
using enum HandoffOutcome;

const absl::Status kFull = absl::ResourceExhaustedError("no pages");
const absl::Status kClosed = absl::UnavailableError("draining");
const absl::Status kBroken = absl::UnavailableError("gone");
const MonoTime kSoon = kStart + absl::Seconds(1);

TEST(StreamSessionFaults, BrokenAttemptsAreTriedElsewhereThreeTimes) {
  SessionAt at;
  at.Run(true);
  EXPECT_EQ(Words(at.session.DecodeEnded({1, 1}, kClosed, kStart)), "-prefill1");
  EXPECT_EQ(at.session.state(), StreamSession::State::kBackoff);
  EXPECT_EQ(Words(at.session.Tick(kStart)), "") << "not yet";
  EXPECT_EQ(at.session.NextDeadline(), kStart + absl::Milliseconds(20));
  EXPECT_EQ(Words(at.session.Tick(kSoon)), "place2-2") << "avoids the pair";
  at.Place(false);
  at.Accept();
  EXPECT_EQ(Words(at.session.DecodeEnded({1, 1}, kBroken, kStart)), "") << "of an old attempt";
  at.session.DecodeEnded({1, 2}, kClosed, kStart);
  EXPECT_EQ(Words(at.session.Tick(kSoon)), "place3-3");
  at.Place(false);
  at.Accept();
  EXPECT_EQ(Words(at.session.DecodeEnded({1, 3}, kClosed, kStart)), "fail14");
}

// All that is known of a worker may be a moment old: one that is being restarted refuses for a while.
TEST(StreamSessionFaults, WorkersThatCannotBeReachedAreWaitedForBriefly) {
  SessionAt at({.max_attempts = 2, .no_worker_timeout = absl::Milliseconds(50)});
  at.session.Start(kStart);
  MonoTime now = kStart;
  int attempts = 0;
  while (!at.session.done()) {
    at.Place(false);
    ++attempts;
    const std::string ended = Words(at.session.DecodeEnded(at.attempt(), kBroken, now));
    EXPECT_EQ(ended, at.session.done() ? "fail14" : "");
    now = std::min(at.session.NextDeadline(), now + absl::Seconds(1));
    at.session.Tick(now);
  }
  EXPECT_EQ(attempts, 4) << "after 10, 20 and 20 ms";
  SessionAt back({.no_worker_timeout = absl::Milliseconds(50)});
  back.session.Start(kStart);
  back.Place(false);
  back.session.DecodeEnded({1, 1}, kBroken, kStart);
  back.session.Tick(kSoon);
  back.Place(false);
  EXPECT_EQ(back.Accept(), "");
  EXPECT_EQ(Words(back.session.DecodeToken({1, 2}, Token(0, 40), kSoon)), "emit40");
}

TEST(StreamSessionFaults, WantOfRoomIsWaitedForWithGrowingPauses) {
  SessionConfig config{.max_attempts = 2,
                       .capacity_timeout = absl::Seconds(1),
                       .min_capacity_pause = absl::Milliseconds(10),
                       .max_capacity_pause = absl::Milliseconds(100)};
  SessionAt at(config);
  at.session.Start(kStart);
  MonoTime now = kStart;
  std::vector<int64_t> pauses;
  while (!at.session.done()) {
    at.Place(true);
    const std::string ended = Words(at.session.DecodeEnded(at.attempt(), kFull, now));
    if (at.session.done()) {
      EXPECT_EQ(ended, "fail8");
      break;
    }
    pauses.push_back(absl::ToInt64Milliseconds(at.session.NextDeadline() - now));
    now = at.session.NextDeadline();
    EXPECT_THAT(Words(at.session.Tick(now)), testing::EndsWith("-1")) << "avoids only who has just refused";
  }
  EXPECT_EQ(now, kStart + absl::Seconds(1));
  EXPECT_THAT(pauses, testing::ElementsAre(10, 20, 40, 80, 100, 100, 100, 100, 100, 100, 100, 100, 50));
}

TEST(StreamSessionFaults, RoomFoundLateIsUsed) {
  SessionAt at;
  at.session.Start(kStart);
  at.Place(true);
  at.session.DecodeEnded({1, 1}, kFull, kStart);
  at.session.Tick(kSoon);
  at.Place(true);
  EXPECT_EQ(at.Accept(), "prefill2");
  EXPECT_EQ(Words(at.session.PrefillFirstToken({1, 2}, Token(0, 5), 0, kNone, kSoon)), "emit5");
}

TEST(StreamSessionFaults, InvalidArgumentAndSupersededEndAtOnce) {
  SessionAt invalid;
  invalid.Run(true);
  EXPECT_EQ(Words(invalid.session.PrefillEnded({1, 1}, absl::InvalidArgumentError("bad"), kStart)),
            "-decode1 fail3");
  SessionAt superseded;
  superseded.Run(true);
  EXPECT_EQ(Words(superseded.session.DecodeEnded({1, 1}, absl::AbortedError("superseded"), kStart)),
            "-prefill1 quiet");
}

TEST(StreamSessionFaults, NoWorkerIsWaitedForBriefly) {
  SessionConfig config{.no_worker_timeout = absl::Milliseconds(50)};
  SessionAt at(config);
  at.session.Start(kStart);
  MonoTime now = kStart;
  std::vector<int64_t> pauses;
  while (Words(at.session.Placed(at.attempt(), kBroken, now)) != "fail14") {
    ASSERT_FALSE(at.session.done());
    pauses.push_back(absl::ToInt64Milliseconds(at.session.NextDeadline() - now));
    now = at.session.NextDeadline();
    EXPECT_THAT(Words(at.session.Tick(now)), testing::StartsWith("place"));
  }
  EXPECT_THAT(pauses, testing::ElementsAre(10, 20, 20));
  EXPECT_EQ(at.session.counts().attempts, 0u);
}

TEST(StreamSessionFaults, AWorkerThatComesBackInTimeIsUsed) {
  SessionAt at;
  at.session.Start(kStart);
  EXPECT_EQ(Words(at.session.Placed({1, 1}, kBroken, kStart)), "");
  EXPECT_EQ(Words(at.session.Tick(kSoon)), "place2-0");
  EXPECT_EQ(at.Place(false), "decode2");
  EXPECT_EQ(at.session.counts().attempts, 1u);
}

TEST(StreamSessionFaults, NothingToPlaceOn) {
  const SessionConfig config{.no_worker_timeout = absl::ZeroDuration()};
  SessionAt at(config);
  at.session.Start(kStart);
  EXPECT_EQ(Words(at.session.Placed({1, 1}, kBroken, kStart)), "fail14");
  SessionAt unfit;
  unfit.session.Start(kStart);
  EXPECT_EQ(Words(unfit.session.Placed({1, 1}, absl::InvalidArgumentError("too long"), kStart)), "fail3");
  SessionAt later(config);
  later.session.Start(kStart);
  later.Place(false);
  later.session.DecodeEnded({1, 1}, kFull, kStart);
  later.session.Tick(kSoon);
  EXPECT_EQ(Words(later.session.Placed({1, 2}, kBroken, kStart)), "fail8")
      << "the first reason is the better one";
}

TEST(StreamSessionFaults, BrokenPrefillBeforeTheFirstTokenCancelsDecode) {
  for (const absl::Status& status : {kBroken, absl::OkStatus()}) {
    SessionAt at;
    at.Run(true);
    EXPECT_EQ(Words(at.session.PrefillEnded({1, 1}, status, kStart)), "-decode1");
    EXPECT_EQ(Words(at.session.Tick(kSoon)), "place2-2");
  }
}

TEST(StreamSessionFaults, AHandoffLostBeforeTheFirstTokenLeavesTheStreamToDecode) {
  SessionAt at;
  at.Run(true);
  EXPECT_EQ(Words(at.session.HandoffEnded({1, 1}, kLost)), "");
  EXPECT_EQ(Words(at.session.PrefillEnded({1, 1}, absl::OkStatus(), kStart)), "");
  EXPECT_EQ(Words(at.session.DecodeToken({1, 1}, Token(0, 40), kStart)), "emit40");
  EXPECT_EQ(at.session.counts().attempts, 1u);
}

TEST(StreamSessionFaults, BrokenPrefillAfterTheFirstTokenChangesNothing) {
  SessionAt at;
  at.Run(true);
  at.session.PrefillFirstToken({1, 1}, Token(0, 40), 0, kNone, kStart);
  EXPECT_EQ(Words(at.session.PrefillEnded({1, 1}, kBroken, kStart)), "");
  EXPECT_EQ(Words(at.session.DecodeToken({1, 1}, Token(0, 40), kStart)), "");
  EXPECT_EQ(Words(at.session.DecodeToken({1, 1}, Token(1, 41), kStart)), "emit41");
  EXPECT_EQ(Words(at.session.DecodeFinished({1, 1}, kLength, kLost, kStart)), "-decode1 finish3");
  EXPECT_EQ(at.session.counts().handoff, kLost);
}

TEST(StreamSessionFaults, BrokenDecodeBeforeTheFirstTokenIsPlacedAgain) {
  for (const absl::Status& status : {kBroken, absl::OkStatus()}) {
    SessionAt at;
    at.Run(true);
    EXPECT_EQ(Words(at.session.DecodeEnded({1, 1}, status, kStart)), "-prefill1");
    EXPECT_EQ(Words(at.session.Tick(kSoon)), "place2-2");
    EXPECT_EQ(Words(at.session.PrefillFirstToken({1, 1}, Token(0, 40), 0, kNone, kStart)), "") << "a zombie";
    EXPECT_EQ(at.session.emission().counts().stale, 1u);
  }
}

TEST(StreamSessionFaults, TokensThatCannotBe) {
  SessionAt early;
  early.session.Start(kStart);
  early.Place(false);
  EXPECT_EQ(Words(early.session.DecodeToken({1, 1}, Token(0, 40), kStart)), "-decode1")
      << "before it accepted";
  SessionAt gap;
  gap.Run(false);
  EXPECT_EQ(Words(gap.session.DecodeToken({1, 1}, Token(1, 40), kStart)), "-decode1")
      << "position 0 is missing";
  SessionAt differs;
  differs.Run(true);
  differs.session.PrefillFirstToken({1, 1}, Token(0, 40), 0, kNone, kStart);
  EXPECT_EQ(Words(differs.session.DecodeToken({1, 1}, Token(0, 41), kStart)), "-prefill1 -decode1 fail13");
  SessionAt lost;
  lost.Run(false);
  lost.session.DecodeToken({1, 1}, Token(0, 40), kStart);
  EXPECT_EQ(Words(lost.session.DecodeToken({1, 1}, Token(2, 42), kStart)), "-decode1") << "replayed";
}

TEST(StreamSessionFaults, TokensOfAnAttemptGivenUpAreCounted) {
  SessionAt at;
  at.Run(true);
  EXPECT_EQ(Words(at.session.PrefillEnded({1, 1}, kBroken, kStart)), "-decode1");
  EXPECT_EQ(Words(at.session.DecodeToken({1, 1}, Token(0, 40), kStart)), "");
  EXPECT_EQ(at.session.emission().counts().stale, 1u);
}

TEST(StreamSessionFaults, TokensBeyondTheStreamsEndAreNotTaken) {
  SessionAt length({}, absl::InfiniteFuture(), /*max_tokens=*/1);
  length.Run(false);
  EXPECT_EQ(Words(length.session.DecodeToken({1, 1}, Token(0, 40), kStart)), "emit40");
  EXPECT_EQ(Words(length.session.DecodeToken({1, 1}, Token(1, 41), kStart)), "-decode1 finish3");
  SessionAt stop;
  stop.Run(false);
  EXPECT_EQ(Words(stop.session.DecodeToken({1, 1}, Token(0, kEos), kStart)), "emit9999");
  EXPECT_EQ(Words(stop.session.DecodeToken({1, 1}, Token(0, kEos), kStart)), "");
  EXPECT_EQ(Words(stop.session.DecodeToken({1, 1}, Token(1, 41), kStart)), "-decode1 finish1");
}

TEST(StreamSessionFaults, WhatBreaksBetweenTheLastTokenAndFinishedIsComplete) {
  for (const absl::Status& status :
       {absl::UnavailableError("died"), absl::InvalidArgumentError("all of max_tokens were already emitted"),
        absl::AbortedError("superseded"), absl::OkStatus()}) {
    SessionAt at;
    at.Run(false);
    at.session.DecodeToken({1, 1}, Token(0, 40), kStart);
    at.session.DecodeToken({1, 1}, Token(1, kEos), kStart);
    EXPECT_EQ(Words(at.session.DecodeEnded({1, 1}, status, kStart)), "finish1");
  }
  SessionAt silent({.stall_timeout = absl::Seconds(4)}, absl::InfiniteFuture(), /*max_tokens=*/2);
  silent.Run(true);
  silent.session.PrefillFirstToken({1, 1}, Token(0, 40), 0, StreamFinish::kNone, kStart);
  silent.session.DecodeToken({1, 1}, Token(1, 41), kStart);
  EXPECT_EQ(Words(silent.session.Tick(kStart + absl::Seconds(4))), "-prefill1 -decode1 finish3");
}

TEST(StreamSessionFaults, FinishedWithoutAResultIsBroken) {
  SessionAt nothing;
  nothing.Run(false);
  EXPECT_EQ(Words(nothing.session.DecodeFinished({1, 1}, kLength, kLocal, kStart)), "-decode1");
  SessionAt unsaid;
  unsaid.Run(false);
  unsaid.session.DecodeToken({1, 1}, Token(0, 40), kStart);
  EXPECT_EQ(Words(unsaid.session.DecodeFinished({1, 1}, kNone, kLocal, kStart)), "-decode1") << "replayed";
}

TEST(StreamSessionFaults, EveryWaitHasADeadline) {
  const SessionConfig config{.accept_timeout = absl::Seconds(2),
                             .first_token_timeout = absl::Seconds(3),
                             .stall_timeout = absl::Seconds(4)};
  SessionAt accept(config);
  accept.session.Start(kStart);
  accept.Place(false);
  EXPECT_EQ(accept.session.NextDeadline(), kStart + absl::Seconds(2));
  EXPECT_EQ(Words(accept.session.Tick(kStart + absl::Seconds(2))), "-decode1");
  SessionAt first(config);
  first.Run(true);
  EXPECT_EQ(first.session.NextDeadline(), kStart + absl::Seconds(3));
  EXPECT_EQ(Words(first.session.Tick(kStart + absl::Seconds(3))), "-prefill1 -decode1");
  SessionAt stall(config);
  stall.Run(false);
  stall.session.DecodeToken({1, 1}, Token(0, 40), kSoon);
  EXPECT_EQ(stall.session.NextDeadline(), kSoon + absl::Seconds(4));
  EXPECT_EQ(Words(stall.session.Tick(kSoon + absl::Seconds(4))), "-decode1");
}

TEST(StreamSessionFaults, TheRequestsOwnDeadlineWinsInEveryState) {
  const MonoTime deadline = kStart + absl::Milliseconds(10);
  SessionAt late({}, kStart);
  EXPECT_EQ(Words(late.session.Start(kStart)), "fail4");
  SessionAt placing({}, deadline);
  placing.session.Start(kStart);
  EXPECT_EQ(Words(placing.session.Tick(deadline)), "fail4");
  SessionAt opening({}, deadline);
  opening.session.Start(kStart);
  opening.Place(false);
  EXPECT_EQ(Words(opening.session.Tick(deadline)), "-decode1 fail4");
  SessionAt running({}, deadline);
  running.Run(true);
  EXPECT_EQ(Words(running.session.Tick(deadline)), "-prefill1 -decode1 fail4");
  SessionAt backoff({}, deadline);
  backoff.session.Start(kStart);
  backoff.Place(false);
  backoff.session.DecodeEnded({1, 1}, kFull, kStart);
  EXPECT_EQ(Words(backoff.session.Tick(deadline)), "fail4");
}

TEST(StreamSessionFaults, TheClientsSideEndsEveryState) {
  for (int how = 0; how < 3; ++how) {
    const auto end = [&](StreamSession& session) {
      return Words(how == 0 ? session.ClientGone() : how == 1 ? session.ReaderTooSlow() : session.ShutDown());
    };
    const std::string last = how == 0 ? "quiet" : how == 1 ? "fail1" : "fail14";
    SessionAt placing;
    placing.session.Start(kStart);
    EXPECT_EQ(end(placing.session), last);
    SessionAt opening;
    opening.session.Start(kStart);
    opening.Place(true);
    EXPECT_EQ(end(opening.session), "-decode1 " + last);
    SessionAt running;
    running.Run(true);
    EXPECT_EQ(end(running.session), "-prefill1 -decode1 " + last);
    SessionAt backoff;
    backoff.session.Start(kStart);
    backoff.Place(true);
    backoff.session.DecodeEnded({1, 1}, kBroken, kStart);
    EXPECT_EQ(end(backoff.session), last);
    EXPECT_EQ(end(backoff.session), "") << "once";
  }
}

}  // namespace
}  // namespace baton::router
