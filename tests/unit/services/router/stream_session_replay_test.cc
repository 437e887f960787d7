// Exact replay: a stream whose attempt breaks after tokens are out goes on elsewhere, after the last of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/services/router/session_test_support.h"

namespace baton::router {
namespace {

using enum StreamFinish;
using enum HandoffOutcome;
using testing::ElementsAre;
using testing::HasSubstr;

const absl::Status kBroken = absl::UnavailableError("gone");
const MonoTime kSoon = kStart + absl::Seconds(1);

// A session whose attempt 1 has emitted 40 and 41.
struct Decoding : SessionAt {
  explicit Decoding(bool split, SessionConfig config = {}, bool inexact = false) : SessionAt(config) {
    session.Start(kStart);
    Place(split, inexact);
    Accept();
    session.DecodeToken({1, 1}, Token(0, 40), kStart);
    session.DecodeToken({1, 1}, Token(1, 41), kStart);
  }
};

TEST(StreamReplay, GoesOnAfterTheLastTokenThatIsOut) {
  Decoding at(true);
  EXPECT_EQ(Words(at.session.DecodeEnded({1, 1}, kBroken, kStart)), "-prefill1");
  const SessionActions placing = at.session.Tick(kSoon);
  ASSERT_EQ(Words(placing), "place2-1");
  EXPECT_THAT(std::get<Place>(placing[0]).avoid, ElementsAre(kDecodeRank)) << "prefill still has the prompt";
  const auto opened = at.session.Placed({1, 2}, Placement{.decode = {3, 0}, .prefill = kPrefillRank}, kSoon);
  EXPECT_THAT(std::get<OpenDecode>(opened[0]).emitted, ElementsAre(40, 41));
  const auto accepted = at.session.DecodeAccepted({1, 2}, kEpoch, 0, kSoon);
  EXPECT_THAT(std::get<OpenPrefill>(accepted[0]).emitted, ElementsAre(40, 41));
  EXPECT_EQ(Words(at.session.PrefillFirstToken({1, 2}, Token(2, 42), 0, kNone, kSoon)), "emit42");
  EXPECT_EQ(Words(at.session.DecodeToken({1, 1}, Token(2, 43), kSoon)), "") << "a zombie";
  EXPECT_EQ(Words(at.session.DecodeToken({1, 2}, Token(2, 42), kSoon)), "");
  EXPECT_EQ(Words(at.session.DecodeToken({1, 2}, Token(3, kEos), kSoon)), "emit9999");
  EXPECT_EQ(Words(at.session.DecodeFinished({1, 2}, kStopToken, kHeld, kSoon)), "-prefill2 -decode2 finish1");
  EXPECT_EQ(at.session.counts().replays, 1u);
  EXPECT_EQ(at.session.emission().counts().stale, 1u);
}

TEST(StreamReplay, ATokenThatComesAgainMustBeTheSame) {
  Decoding at(false);
  at.session.DecodeEnded({1, 1}, kBroken, kStart);
  at.session.Tick(kSoon);
  at.Place(false);
  at.Accept();
  EXPECT_EQ(Words(at.session.DecodeToken({1, 2}, Token(1, 41), kSoon)), "");
  EXPECT_EQ(Words(at.session.DecodeToken({1, 2}, Token(1, 40), kSoon)), "-decode2 fail13");
}

TEST(StreamReplay, TokensInBetweenMakeEveryFailureTheFirst) {
  Decoding at(false);
  for (uint32_t n = 1; n <= 10; ++n) {
    EXPECT_EQ(Words(at.session.DecodeEnded({1, n}, kBroken, kStart)), "");
    EXPECT_EQ(Words(at.session.Tick(kSoon)), absl::StrCat("place", n + 1, "-1"));
    at.Place(false);
    at.Accept();
    EXPECT_EQ(Words(at.session.DecodeToken({1, n + 1}, Token(1 + n, 50), kSoon)), "emit50");
  }
  EXPECT_EQ(at.session.counts().replays, 10u);
}

TEST(StreamReplay, ARequestThatBreaksItsWorkersIsStopped) {
  Decoding at(false);
  at.session.DecodeEnded({1, 1}, kBroken, kStart);
  for (uint32_t n = 2; n < 4; ++n) {
    at.session.Tick(kSoon);
    at.Place(false);
    at.Accept();
    const SessionActions ended = at.session.DecodeEnded({1, n}, kBroken, kStart);
    ASSERT_EQ(Words(ended), n < 3 ? "" : "fail14") << n;
    if (n < 3) continue;
    EXPECT_THAT(std::get<Fail>(ended[0]).status.message(), HasSubstr("broke after 2 tokens: gone"));
  }
  Decoding slow(false, {.max_replays = 2});
  for (uint32_t n = 1; n <= 3; ++n) {
    EXPECT_EQ(Words(slow.session.DecodeEnded({1, n}, kBroken, kStart)), n < 3 ? "" : "fail14");
    if (n == 3) break;
    slow.session.Tick(kSoon);
    slow.Place(false);
    slow.Accept();
    slow.session.DecodeToken({1, n + 1}, Token(1 + n, 50), kSoon);
  }
}

TEST(StreamReplay, WaitsForRoomAndForWorkersAsANewStreamDoes) {
  Decoding room(false);
  room.session.DecodeEnded({1, 1}, kBroken, kStart);
  room.session.Tick(kSoon);
  room.Place(false);
  EXPECT_EQ(Words(room.session.DecodeEnded({1, 2}, absl::ResourceExhaustedError("no pages"), kSoon)), "");
  EXPECT_EQ(room.session.NextDeadline(), kSoon + absl::Milliseconds(10));
  Decoding nobody(false, {.no_worker_timeout = absl::Milliseconds(10)});
  nobody.session.DecodeEnded({1, 1}, kBroken, kStart);
  nobody.session.Tick(kSoon);
  EXPECT_EQ(Words(nobody.session.Placed({1, 2}, absl::UnavailableError("none"), kSoon)), "");
  nobody.session.Tick(kSoon + absl::Seconds(1));
  const auto failed = nobody.session.Placed({1, 3}, absl::UnavailableError("none"), kSoon + absl::Seconds(1));
  ASSERT_EQ(Words(failed), "fail14");
  EXPECT_THAT(std::get<Fail>(failed[0]).status.message(), HasSubstr("broke after 2 tokens: gone; then none"));
}

TEST(StreamReplay, NeverOfAStreamWhoseWorkersComputeOtherNumbers) {
  Decoding at(true, {}, /*inexact=*/true);
  EXPECT_EQ(Words(at.session.DecodeEnded({1, 1}, kBroken, kStart)), "-prefill1 fail14");
}

TEST(StreamReplay, ASilentDecodeWorkerIsLeftUnlessItIsHeard) {
  Decoding at(false);
  EXPECT_EQ(Words(at.session.WorkerSilent(9, kSoon)), "") << "not ours";
  EXPECT_EQ(Words(at.session.WorkerSilent(kDecodeRank.worker, kStart + absl::Milliseconds(999))), "");
  EXPECT_EQ(Words(at.session.WorkerSilent(kDecodeRank.worker, kSoon)), "-decode1");
  EXPECT_EQ(Words(at.session.WorkerSilent(kDecodeRank.worker, kSoon)), "") << "once";
  EXPECT_EQ(Words(at.session.Tick(kSoon + absl::Seconds(1))), "place2-1");
}

TEST(StreamReplay, ASilentPrefillWorkerMattersUntilTheFirstToken) {
  SessionAt waiting;
  waiting.Run(true);
  EXPECT_EQ(Words(waiting.session.WorkerSilent(kPrefillRank.worker, kSoon)), "-prefill1 -decode1");
  Decoding done(true);
  EXPECT_EQ(Words(done.session.WorkerSilent(kPrefillRank.worker, kSoon)), "");
}

}  // namespace
}  // namespace baton::router
