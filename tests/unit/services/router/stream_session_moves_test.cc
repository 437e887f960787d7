// A stream's move from rank to rank: what happens in order, and after every kind of failure.

#include <gtest/gtest.h>

#include "tests/unit/services/router/session_test_support.h"

namespace baton::router {
namespace {

constexpr RankRef kTarget{5, 0};
constexpr RankRef kSibling{1, 1};  // of the same worker

// A session whose attempt 1 has emitted `tokens` tokens from its decode call.
struct MovableSession : SessionAt {
  explicit MovableSession(uint32_t tokens = 4, SessionConfig config = {}, uint32_t max_tokens = 0)
      : SessionAt(config, absl::InfiniteFuture(), max_tokens) {
    Run(/*split=*/false);
    Emit(tokens);
  }
  void Emit(uint32_t tokens, uint32_t n = 1) {
    for (uint32_t i = 0; i < tokens; ++i) Give(n, session.emission().next_position());
  }
  std::string Give(uint32_t n, uint32_t position) {
    return Words(session.DecodeToken({1, n}, Token(position, static_cast<TokenId>(100 + position)), kStart));
  }
  std::string Move(RankRef target = kTarget) { return Words(session.Move(target, kStart)); }
  std::string Shared(uint32_t round, uint32_t tokens = 32) {
    return Words(session.PrefixShared(round, tokens, kStart));
  }
  std::string Fetched(uint32_t round, HandoffOutcome outcome = HandoffOutcome::kHeld) {
    return Words(session.PrefixFetched(round, outcome, kStart));
  }
  std::string AcceptNext(uint32_t n = 2) { return Words(session.DecodeAccepted({1, n}, kEpoch, 32, kStart)); }
  std::string Broken(uint32_t n, absl::Status status) {
    return Words(session.DecodeEnded({1, n}, status, kStart));
  }
  // To where attempt 2 is opened at the target.
  void ToSwitching(RankRef target = kTarget) {
    Move(target);
    Shared(1);
    EXPECT_EQ(Fetched(1), "decode2-moved");
  }
};

TEST(StreamMove, SharesFetchesThenSwitchesAtTheTargetsFirstToken) {
  MovableSession s;
  EXPECT_EQ(s.Move(), "share1");
  EXPECT_EQ(s.Give(1, 4), "emit104");  // the source decodes on
  EXPECT_EQ(s.Shared(1), "fetch1x32");
  EXPECT_EQ(s.Give(1, 5), "emit105");
  EXPECT_EQ(s.Fetched(1), "decode2-moved");
  EXPECT_EQ(s.Give(1, 6), "emit106");
  EXPECT_EQ(s.AcceptNext(), "");
  EXPECT_EQ(s.Give(1, 7), "emit107");
  EXPECT_EQ(s.attempt().n, 1u);
  EXPECT_EQ(s.Give(2, 6), "-decode1 moved0");  // what the source has emitted meanwhile comes again, and equal
  EXPECT_EQ(s.attempt().n, 2u);
  EXPECT_EQ(s.Give(1, 8), "");  // the source is a stranger now
  EXPECT_EQ(s.Give(2, 7), "");
  EXPECT_EQ(s.Give(2, 8), "emit108");
  EXPECT_EQ(s.Broken(1, absl::CancelledError("")), "");
  EXPECT_EQ(s.session.decode_rank(), kTarget);
  EXPECT_EQ(s.session.counts().moves, 1u);
  EXPECT_EQ(s.session.counts().fetches_held, 1u);
  EXPECT_EQ(s.session.emission().counts().stale, 1u);
  EXPECT_EQ(s.session.emission().counts().repeated, 2u);
  EXPECT_EQ(Words(s.session.DecodeFinished({1, 2}, StreamFinish::kLength, HandoffOutcome::kLocal, kStart)),
            "-decode2 finish3");
}

TEST(StreamMove, TheNextAttemptIsGivenAllThatIsOut) {
  MovableSession s(3);
  s.Move();
  s.Shared(1);
  s.Give(1, 3);
  const SessionActions actions = s.session.PrefixFetched(1, HandoffOutcome::kHeld, kStart);
  const auto& open = std::get<OpenDecode>(actions.at(0));
  EXPECT_EQ(open.emitted, (std::vector<TokenId>{100, 101, 102, 103}));
  EXPECT_EQ(open.target, kTarget);
  EXPECT_FALSE(open.source.has_value());
}

TEST(StreamMove, ManyNewTokensMakeAnotherRoundButNotForEver) {
  MovableSession s;
  s.Move();
  for (uint32_t round = 1; round <= 2; ++round) {
    EXPECT_EQ(s.Shared(round, 32), absl::StrCat("fetch", round, "x32"));
    s.Emit(16);
    EXPECT_EQ(s.Fetched(round), absl::StrCat("share", round + 1));
  }
  s.Shared(3);
  s.Emit(16);
  EXPECT_EQ(s.Fetched(3), "decode2-moved");
  EXPECT_EQ(s.Fetched(3), "");
}

TEST(StreamMove, WhatIsLostOrUnknownIsRecomputedAtTheTarget) {
  MovableSession lost;
  lost.Move();
  lost.Shared(1);
  lost.Emit(40);
  EXPECT_EQ(lost.Fetched(1, HandoffOutcome::kLost), "decode2-moved");
  EXPECT_EQ(lost.session.counts().fetches_lost, 1u);
  MovableSession unknown;
  unknown.Move();
  EXPECT_EQ(unknown.Shared(1, 0), "decode2-moved");
  MovableSession cacheless;
  cacheless.Move();
  cacheless.Shared(1);
  EXPECT_EQ(Words(cacheless.session.FetchEnded(1, absl::FailedPreconditionError("no prefix cache"), kStart)),
            "decode2-moved");
}

TEST(StreamMove, FailuresBeforeTheSwitchLeaveTheStreamWhereItIs) {
  MovableSession s;
  s.Move();
  EXPECT_EQ(Words(s.session.ShareEnded(1, absl::ResourceExhaustedError(""), kStart)), "-move1 moved8");
  EXPECT_EQ(s.Give(1, 4), "emit104");
  EXPECT_EQ(s.Move(), "share2");
  EXPECT_EQ(s.Shared(1), "");  // of the round before
  s.Shared(2);
  EXPECT_EQ(Words(s.session.FetchEnded(2, absl::UnavailableError("draining"), kStart)), "-move2 moved14");
  s.Move();
  s.Shared(3);
  EXPECT_EQ(s.Fetched(3), "decode2-moved");
  EXPECT_EQ(s.Broken(2, absl::ResourceExhaustedError("no pages")), "-decode2 moved8");
  EXPECT_EQ(s.Give(1, 5), "emit105");
  s.Move();
  s.Shared(4);
  EXPECT_EQ(s.Fetched(4), "decode3-moved");  // attempt 2 was used up
  EXPECT_EQ(s.session.counts().moves_failed, 3u);
}

TEST(StreamMove, ASlowMoveIsGivenUp) {
  SessionConfig config;
  config.move_timeout = absl::Seconds(2);
  MovableSession s(4, config);
  s.ToSwitching();
  EXPECT_EQ(s.session.NextDeadline(), kStart + absl::Seconds(2));
  EXPECT_EQ(Words(s.session.Tick(kStart + absl::Seconds(1))), "");
  EXPECT_EQ(Words(s.session.Tick(kStart + absl::Seconds(2))), "-decode2 moved4");
  EXPECT_EQ(s.Give(1, 4), "emit104");
  EXPECT_EQ(s.Give(2, 4), "");
}

TEST(StreamMove, ASourceThatBreaksIsTakenOverAtOnce) {
  MovableSession sharing;
  sharing.Move();
  EXPECT_EQ(sharing.Broken(1, absl::UnavailableError("died")), "-move1 decode2-moved moved0");
  EXPECT_EQ(sharing.AcceptNext(), "");
  EXPECT_EQ(sharing.Give(2, 4), "emit104");

  MovableSession switching;
  switching.ToSwitching();
  switching.AcceptNext();
  EXPECT_EQ(switching.Broken(1, absl::UnavailableError("died")), "moved0");
  EXPECT_EQ(switching.Give(2, 4), "emit104");

  MovableSession stalled;
  stalled.ToSwitching();
  stalled.Give(1, 6);  // a token was lost on the way
  EXPECT_EQ(stalled.attempt().n, 2u);
  EXPECT_EQ(stalled.Broken(2, absl::UnavailableError("died too")), "") << "replayed";
}

TEST(StreamMove, SupersededByAnotherEndsQuietlyByOurselvesGoesOver) {
  MovableSession other;
  other.ToSwitching();
  EXPECT_EQ(other.Broken(1, absl::AbortedError("superseded")), "-decode2 moved1 quiet");
  MovableSession at_target;
  at_target.ToSwitching();
  EXPECT_EQ(at_target.Broken(2, absl::AbortedError("superseded")), "-decode2 moved1 -decode1 quiet");

  MovableSession own;
  own.ToSwitching(kSibling);
  EXPECT_EQ(own.Broken(1, absl::AbortedError("superseded")), "moved0");
  EXPECT_EQ(own.AcceptNext(), "");
  EXPECT_EQ(own.Give(2, 4), "emit104");

  MovableSession refused;
  refused.ToSwitching(kSibling);
  EXPECT_EQ(refused.Broken(2, absl::ResourceExhaustedError("no pages")), "-decode2 moved8");
  EXPECT_EQ(refused.Broken(1, absl::AbortedError("superseded")), "") << "replayed, not ended silently";
}

TEST(StreamMove, OnlyAStreamThatDecodesMoves) {
  SessionAt waiting;
  waiting.session.Start(kStart);
  EXPECT_EQ(Words(waiting.session.Move(kTarget, kStart)), "moved9");
  SessionAt split;
  split.Run(/*split=*/true);
  split.session.PrefillFirstToken({1, 1}, Token(0, 100), 0, StreamFinish::kNone, kStart);
  EXPECT_EQ(Words(split.session.Move(kTarget, kStart)), "moved9");  // its KV is still on the way
  split.session.DecodeToken({1, 1}, Token(0, 100), kStart);
  EXPECT_EQ(Words(split.session.Move(kTarget, kStart)), "share1");
  EXPECT_EQ(Words(split.session.Move(kTarget, kStart)), "moved9");
  MovableSession home;
  EXPECT_EQ(home.Move(kDecodeRank), "moved9");
}

TEST(StreamMove, TheStreamsEndEndsTheMove) {
  MovableSession gone;
  gone.Move();
  EXPECT_EQ(Words(gone.session.ClientGone()), "-move1 moved1 -decode1 quiet");
  MovableSession finished;
  finished.ToSwitching();
  EXPECT_EQ(Words(finished.session.DecodeFinished({1, 1}, StreamFinish::kStopToken, HandoffOutcome::kLocal,
                                                  kStart)),
            "-decode2 moved1 -decode1 finish1");
  EXPECT_EQ(Words(finished.session.Move(kTarget, kStart)), "moved9");
}

TEST(StreamMove, TheLastTokenEndsTheMoveAndASourceThatThenDiesIsNotContinued) {
  MovableSession sharing;
  sharing.Move();
  const auto stop = [](MovableSession& s, uint32_t n) {
    return Words(s.session.DecodeToken({1, n}, Token(s.session.emission().next_position(), kEos), kStart));
  };
  EXPECT_EQ(stop(sharing, 1), "emit9999 -move1 moved1");
  EXPECT_EQ(sharing.Shared(1), "");
  EXPECT_EQ(sharing.Move(), "moved9");
  EXPECT_EQ(sharing.Broken(1, absl::UnavailableError("died")), "finish1");

  MovableSession fetching;
  fetching.Move();
  fetching.Shared(1);
  EXPECT_EQ(stop(fetching, 1), "emit9999 -move1 moved1");
  EXPECT_EQ(fetching.Fetched(1), "");
  EXPECT_EQ(fetching.Broken(1, absl::UnavailableError("died")), "finish1");

  MovableSession switching;
  switching.ToSwitching(kSibling);
  switching.AcceptNext();
  EXPECT_EQ(stop(switching, 1), "emit9999 -decode2 moved1");
  EXPECT_EQ(switching.Give(2, 4), "");
  EXPECT_EQ(switching.Broken(1, absl::AbortedError("superseded")), "finish1");

  MovableSession moved;
  moved.ToSwitching();
  moved.AcceptNext();
  EXPECT_EQ(stop(moved, 2), "-decode1 moved0 emit9999");
  EXPECT_EQ(moved.Broken(2, absl::UnavailableError("died")), "finish1");
}

TEST(StreamMove, TheLastTokenByLengthEndsTheMoveToo) {
  MovableSession s(4, {}, /*max_tokens=*/5);
  s.ToSwitching();
  EXPECT_EQ(s.Give(1, 4), "emit104 -decode2 moved1");
  EXPECT_EQ(s.Broken(2, absl::InvalidArgumentError("already emitted")), "");
  EXPECT_EQ(s.Broken(1, absl::UnavailableError("died")), "finish3");
}

TEST(StreamMove, ATargetThatDiffersIsAnError) {
  MovableSession s;
  s.ToSwitching();
  s.Give(1, 4);
  s.AcceptNext();
  EXPECT_EQ(Words(s.session.DecodeToken({1, 2}, Token(4, 7), kStart)), "-decode1 moved0 -decode2 fail13");
}

TEST(StreamMove, ATokenBeforeTheTargetAcceptedIsNotBelieved) {
  MovableSession s;
  s.ToSwitching();
  EXPECT_EQ(s.Give(2, 4), "-decode2 moved13");
  EXPECT_EQ(s.Give(1, 4), "emit104");
}

TEST(StreamMove, AnInexactStreamStaysWhereItIs) {
  SessionAt s;
  s.session.Start(kStart);
  s.Place(/*split=*/true, /*inexact=*/true);
  s.Accept();
  s.session.DecodeToken({1, 1}, Token(0, 100), kStart);
  EXPECT_EQ(s.session.CanMove().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Words(s.session.Move(kTarget, kStart)), "moved9");
  EXPECT_EQ(Words(s.session.DecodeToken({1, 1}, Token(1, 101), kStart)), "emit101");
}

}  // namespace
}  // namespace baton::router
