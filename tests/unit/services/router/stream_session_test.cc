// A stream's life without faults.

#include <gtest/gtest.h>

#include "tests/unit/services/router/session_test_support.h"

namespace baton::router {
namespace {

using enum StreamFinish;
using enum HandoffOutcome;

TEST(StreamSession, DirectLife) {
  SessionAt at;
  EXPECT_EQ(Words(at.session.Start(kStart)), "place1-0");
  EXPECT_EQ(Words(at.session.Start(kStart)), "") << "once";
  EXPECT_EQ(at.Place(false), "decode1");
  EXPECT_EQ(at.Accept(), "");
  EXPECT_EQ(Words(at.session.DecodeToken({1, 1}, Token(0, 40), kStart)), "emit40");
  EXPECT_EQ(Words(at.session.DecodeToken({1, 1}, Token(1, 41), kStart)), "emit41");
  EXPECT_EQ(Words(at.session.DecodeFinished({1, 1}, kLength, kLocal, kStart)), "-decode1 finish3");
  EXPECT_TRUE(at.session.done());
  EXPECT_EQ(at.session.counts().handoff, kLocal);
  EXPECT_EQ(Words(at.session.DecodeEnded({1, 1}, absl::OkStatus(), kStart)), "");
  EXPECT_EQ(at.session.NextDeadline(), absl::InfiniteFuture());
}

TEST(StreamSession, SplitLifeEmitsTheFirstTokenOfWhoeverIsFirst) {
  for (const bool prefill_first : {true, false}) {
    SessionAt at;
    at.session.Start(kStart);
    EXPECT_EQ(at.Place(true), "decode1-split");
    EXPECT_EQ(at.Accept(), "prefill1");
    const auto prefill = [&] {
      return Words(at.session.PrefillFirstToken({1, 1}, Token(0, 40), 9, kNone, kStart));
    };
    const auto decode = [&] { return Words(at.session.DecodeToken({1, 1}, Token(0, 40), kStart)); };
    EXPECT_EQ(prefill_first ? prefill() : decode(), "emit40");
    EXPECT_EQ(prefill_first ? decode() : prefill(), "") << "the same token again";
    EXPECT_EQ(at.session.counts().prefill_cached_tokens, prefill_first ? 9u : 0u);
    EXPECT_EQ(Words(at.session.HandoffEnded({1, 1}, kHeld)), "");
    EXPECT_EQ(Words(at.session.PrefillEnded({1, 1}, absl::OkStatus(), kStart)), "");
    EXPECT_EQ(Words(at.session.DecodeFinished({1, 1}, kStopToken, kHeld, kStart)), "-decode1 finish1");
    EXPECT_EQ(at.session.counts().handoff, kHeld);
  }
}

TEST(StreamSession, PrefillsTokenMayEndTheStream) {
  SessionAt at;
  at.Run(true);
  EXPECT_EQ(Words(at.session.PrefillFirstToken({1, 1}, Token(0, 2), 0, kStopToken, kStart)),
            "emit2 -prefill1 -decode1 finish1");
}

TEST(StreamSession, StopStringCancelsBothSides) {
  SessionAt at;
  at.Run(true);
  at.session.PrefillFirstToken({1, 1}, Token(0, 40), 0, kNone, kStart);
  EXPECT_EQ(Words(at.session.StopStringFound()), "-prefill1 -decode1 finish2");
  EXPECT_EQ(Words(at.session.StopStringFound()), "");
}

TEST(StreamSession, ActionsCarryWhoAndWhere) {
  SessionAt at;
  at.session.Start(kStart);
  const auto opened =
      at.session.Placed({1, 1}, Placement{.decode = kDecodeRank, .prefill = kPrefillRank}, kStart);
  const auto& decode = std::get<OpenDecode>(opened[0]);
  EXPECT_EQ(decode.target, kDecodeRank);
  EXPECT_EQ(decode.source, kPrefillRank);
  EXPECT_TRUE(decode.emitted.empty());
  const auto accepted = at.session.DecodeAccepted({1, 1}, kEpoch, 32, kStart);
  const auto& prefill = std::get<OpenPrefill>(accepted[0]);
  EXPECT_EQ(prefill.target, kPrefillRank);
  EXPECT_EQ(prefill.reader, kDecodeRank);
  EXPECT_EQ(prefill.reader_epoch, kEpoch);
  EXPECT_EQ(at.session.counts().decode_cached_tokens, 32u);
}

TEST(StreamSession, EventsAfterTheEndDoNothing) {
  SessionAt at;
  at.Run(true);
  EXPECT_EQ(Words(at.session.ClientGone()), "-prefill1 -decode1 quiet");
  const Attempt a{1, 1};
  EXPECT_EQ(Words(at.session.Placed(a, Placement{}, kStart)), "");
  EXPECT_EQ(Words(at.session.DecodeAccepted(a, kEpoch, 0, kStart)), "");
  EXPECT_EQ(Words(at.session.DecodeToken(a, Token(0, 1), kStart)), "");
  EXPECT_EQ(Words(at.session.DecodeFinished(a, kLength, kHeld, kStart)), "");
  EXPECT_EQ(Words(at.session.DecodeEnded(a, absl::InternalError("x"), kStart)), "");
  EXPECT_EQ(Words(at.session.PrefillFirstToken(a, Token(0, 1), 0, kNone, kStart)), "");
  EXPECT_EQ(Words(at.session.HandoffEnded(a, kLost)), "");
  EXPECT_EQ(Words(at.session.PrefillEnded(a, absl::InternalError("x"), kStart)), "");
  EXPECT_EQ(Words(at.session.Tick(absl::InfiniteFuture())), "");
  EXPECT_EQ(Words(at.session.ShutDown()), "");
  EXPECT_EQ(at.session.counts().handoff, kUnknown);
}

TEST(StreamSession, GoesOnAfterWhatAnEarlierClaimEmitted) {
  const auto session = [](std::vector<TokenId> emitted) {
    return StreamSession({}, {.stream = {3, 3},
                              .claim = 70000,
                              .max_tokens = 3,
                              .stop_tokens = {kEos},
                              .emitted = std::move(emitted)});
  };
  StreamSession goes_on = session({40, 41});
  EXPECT_EQ(Words(goes_on.Start(kStart)), "place1-0");
  const Attempt attempt{70000, 1};
  const SessionActions placed = goes_on.Placed(attempt, Placement{.decode = kDecodeRank}, kStart);
  ASSERT_EQ(Words(placed), "decode1");
  EXPECT_EQ(std::get<OpenDecode>(placed[0]).emitted, (std::vector<TokenId>{40, 41}));
  goes_on.DecodeAccepted(attempt, kEpoch, 0, kStart);
  EXPECT_EQ(Words(goes_on.DecodeToken(attempt, Token(2, 42), kStart)), "emit42");
  EXPECT_EQ(Words(session({40, kEos}).Start(kStart)), "finish1") << "it was over";
  EXPECT_EQ(Words(session({40, 41, 42}).Start(kStart)), "finish3");
}

}  // namespace
}  // namespace baton::router
