// The driver: what reaches the decision classes, and faults that only a wire shows.

#include "services/kv_transfer/handoff/driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "services/kv_transfer/transport/loopback.h"
#include "tests/unit/services/kv_transfer/event_log.h"
#include "tests/unit/services/kv_transfer/test_kv.h"

namespace baton {
namespace {

using testing::EventLog;
using ::testing::HasSubstr;
using testing::Id;
using testing::kDigest;
using testing::kOwnerEpoch;
using testing::kReaderEpoch;
using testing::kSmallLayout;
using testing::OfferOf;
using ::testing::SizeIs;
using testing::TestMemory;

class DriverTest : public ::testing::Test {
 protected:
  struct Party {
    TestMemory memory{kSmallLayout, 8};
    EventLog log;
    std::unique_ptr<Transport> wire;
    std::unique_ptr<HandoffDriver> driver;
  };
  DriverTest() {
    Start(owner, kOwnerEpoch);
    Start(reader, kReaderEpoch);
    owner.memory.Randomize(rng);
  }
  void Start(Party& party, const Epoch& epoch) {
    party.wire = network.NewTransport();
    party.driver = *HandoffDriver::Create({}, epoch, &party.memory, party.wire.get(), &clock, &party.log);
  }
  void Turn(absl::Duration by) {
    const MonoTime until = clock.Now() + by;
    for (;;) {
      if (owner.driver != nullptr) owner.driver->Step(absl::ZeroDuration());
      reader.driver->Step(absl::ZeroDuration());
      MonoTime next = std::min(network.NextDue(), reader.driver->NextDeadline());
      if (owner.driver != nullptr) next = std::min(next, owner.driver->NextDeadline());
      if (next > until) break;
      if (next > clock.Now()) clock.Advance(next - clock.Now());
    }
    clock.Advance(until - clock.Now());
  }
  void Begin(int64_t tokens = 40) {
    reader.driver->Do(PullBegin{Id(1),
                                {owner.wire->endpoint(), "", kOwnerEpoch, 0},
                                0,
                                0,
                                tokens,
                                {1, 0},
                                kDigest,
                                clock.Now() + absl::Seconds(60)});
    owner.driver->Do(OwnBegin{Id(1), 0, kReaderEpoch, 0, tokens, clock.Now() + absl::Seconds(60)});
  }
  void Offer(int64_t begin, int64_t end) {
    owner.driver->Do(OfferOf(owner.memory, Id(1), 0, {begin, end, 0, 3}, {4, 5}));
  }

  std::mt19937_64 rng{1};
  ManualClock clock;
  LoopbackFaultHook fate;
  LoopbackNetwork network{{[this](const LoopbackFrame& f) { return fate ? fate(f) : LoopbackFault{}; }},
                          &clock};
  Party owner, reader;
};

TEST_F(DriverTest, MovesOnlyTheValidRowsOfTheTail) {
  reader.memory.Randomize(rng);
  const std::byte beyond = reader.memory.Page(0, 0)[8 * kSmallLayout.RowBytes()];  // row 8 of tokens [32, 40)
  Begin();
  Offer(0, 40);
  owner.driver->Do(OwnSeal{Id(1), kDigest, 3});
  Turn(absl::Milliseconds(10));
  ASSERT_THAT(reader.log.Of<PullHeld>(), SizeIs(1));
  EXPECT_TRUE(testing::SameBytes(owner.memory, 0, {4, 5}, reader.memory, 0, {1, 0}, {0, 40, 0, 3}));
  EXPECT_EQ(reader.memory.Page(0, 0)[8 * kSmallLayout.RowBytes()], beyond);
  EXPECT_EQ(owner.driver->stats().bytes_out, RectBytes(kSmallLayout, {0, 40, 0, 3}));
  EXPECT_EQ(reader.driver->stats().bytes_in, owner.driver->stats().bytes_out);
}

TEST_F(DriverTest, CorruptBytesAreNeverHeld) {
  fate = [](const LoopbackFrame& frame) {
    return LoopbackFault{.corrupt = frame.kind == LoopbackFrame::Kind::kData};
  };
  Begin();
  Offer(0, 40);
  owner.driver->Do(OwnSeal{Id(1), kDigest, 3});
  Turn(absl::Seconds(1));
  EXPECT_THAT(reader.log.Of<PullHeld>(), SizeIs(0));
  ASSERT_THAT(reader.log.Of<PullLost>(), SizeIs(1));
  EXPECT_TRUE(absl::IsDataLoss(reader.log.Of<PullLost>()[0].status));
  EXPECT_THAT(owner.log.Of<OwnEnded>(), SizeIs(1)) << "released at once";
}

TEST_F(DriverTest, PagesReusedUnderALiveLeaseAreCaughtByTheirChecksums) {
  Begin();
  owner.driver->Do(OfferOf(owner.memory, Id(1), 0, {0, 40, 0, 3}, {4, 5}));
  owner.memory.Randomize(rng);  // the engine broke its word
  owner.driver->Do(OwnSeal{Id(1), kDigest, 3});
  Turn(absl::Seconds(1));
  EXPECT_THAT(reader.log.Of<PullHeld>(), SizeIs(0));
}

TEST_F(DriverTest, AVanishedReaderCostsOneLease) {
  Begin();
  Offer(0, 16);
  Turn(absl::Milliseconds(10));
  fate = [](const LoopbackFrame&) { return LoopbackFault{.copies = 0}; };
  Turn(absl::Milliseconds(4900));
  EXPECT_THAT(owner.log.Of<OwnEnded>(), SizeIs(0));
  Turn(absl::Milliseconds(200));
  ASSERT_THAT(owner.log.Of<OwnEnded>(), SizeIs(1));
  EXPECT_EQ(owner.driver->stats().leases, 0u);
  EXPECT_THAT(reader.log.Of<PullLost>(), SizeIs(1)) << "and the reader knew by itself, not later";
}

TEST_F(DriverTest, AVanishedOwnerIsLostWithinTheLease) {
  Begin();
  Offer(0, 16);
  Turn(absl::Milliseconds(10));
  owner.driver.reset();
  owner.wire.reset();
  Turn(absl::Milliseconds(5000));
  ASSERT_THAT(reader.log.Of<PullLost>(), SizeIs(1));
  EXPECT_TRUE(reader.log.Of<PullLost>()[0].fenced);
}

TEST_F(DriverTest, WhyAPullWasLostIsLogged) {
  std::ostringstream lines;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines)));
  const std::string endpoint = owner.wire->endpoint();
  owner.driver.reset();
  owner.wire.reset();
  for (uint64_t n = 1; n <= 3; ++n) {
    reader.driver->Do(PullBegin{
        Id(n), {endpoint, "", kOwnerEpoch, 0}, 0, 0, 16, {1}, kDigest, clock.Now() + absl::Seconds(60)});
  }
  reader.driver->Do(PullCancel{Id(3)});
  Turn(absl::Seconds(6));
  spdlog::set_default_logger(before);
  EXPECT_THAT(reader.log.Of<PullLost>(), SizeIs(3));
  EXPECT_THAT(lines.str(), HasSubstr(endpoint + " lost: "));
  EXPECT_THAT(std::vector<std::string>(absl::StrSplit(lines.str(), " lost: ")), SizeIs(2)) << lines.str();
  EXPECT_EQ(reader.driver->stats().pulls_timed_out + reader.driver->stats().pulls_refused, 2u);
}

TEST_F(DriverTest, AReadAnsweredAfterTheCancelWritesNothing) {
  fate = [](const LoopbackFrame& frame) {
    return LoopbackFault{.delay = frame.kind == LoopbackFrame::Kind::kData ? absl::Seconds(1)
                                                                           : absl::ZeroDuration()};
  };
  Begin();
  Offer(0, 40);
  Turn(absl::Milliseconds(10));
  reader.driver->Do(PullCancel{Id(1)});
  Turn(absl::Milliseconds(1));
  ASSERT_THAT(reader.log.Of<PullLost>(), SizeIs(1));
  EXPECT_FALSE(reader.log.Of<PullLost>()[0].fenced);
  EXPECT_THAT(reader.log.Of<PullFenced>(), SizeIs(1));
  TestMemory untouched(kSmallLayout, 8);
  Turn(absl::Seconds(2));
  EXPECT_TRUE(testing::SameBytes(untouched, 0, {1, 0}, reader.memory, 0, {1, 0}, {0, 40, 0, 3}));
}

TEST_F(DriverTest, WhatAMessageHoldsBesideItsFieldsIsNotKept) {
  v1::Handoff message = NewMessage(Id(1), kReaderEpoch);
  message.mutable_renew()->set_lease(1);
  const std::string plain = message.SerializeAsString();
  const auto parsed = ParseHandoff(absl::StrCat(plain, "\xc2\x3e\x05", "stuff"));  // field 1000, 5 bytes
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->SerializeAsString(), plain);
}

TEST_F(DriverTest, NonsenseIsCountedAndDropped) {
  auto stranger = network.NewTransport();
  const PeerId peer = *stranger->Connect(owner.wire->endpoint(), "");
  v1::Handoff no_verb = NewMessage(Id(1), kReaderEpoch);
  v1::Handoff naked_pull = no_verb;
  naked_pull.mutable_pull()->set_lease(1);
  v1::Handoff no_key;
  no_key.mutable_renew()->set_lease(1);
  const std::string nonsense[] = {"",
                                  "\xff\xff\xff",
                                  no_verb.SerializeAsString(),
                                  naked_pull.SerializeAsString(),
                                  no_key.SerializeAsString(),
                                  std::string(100000, 'x')};
  for (const std::string& message : nonsense) EXPECT_EQ(stranger->Send(peer, message), WireResult::kOk);
  EXPECT_EQ(stranger->PostReads({peer, 1, "not a pull", "", {}}), WireResult::kOk);
  owner.driver->Step(absl::ZeroDuration());
  EXPECT_EQ(owner.driver->stats().malformed, 7u);
}

TEST_F(DriverTest, ARestartedReaderEndsWhatItReadBefore) {
  Begin();
  Offer(0, 16);
  Turn(absl::Milliseconds(10));
  const std::string endpoint = reader.wire->endpoint();
  reader.driver.reset();
  reader.wire.reset();
  reader.wire = network.NewTransport(endpoint);
  const Epoch second_life{2, 23};
  reader.driver =
      *HandoffDriver::Create({}, second_life, &reader.memory, reader.wire.get(), &clock, &reader.log);
  owner.driver->Do(OwnBegin{Id(2), 0, second_life, 0, 16, clock.Now() + absl::Seconds(60)});
  reader.driver->Do(PullBegin{Id(2),
                              {owner.wire->endpoint(), "", kOwnerEpoch, 0},
                              0,
                              0,
                              16,
                              {1},
                              kDigest,
                              clock.Now() + absl::Seconds(60)});
  Turn(absl::Milliseconds(10));
  ASSERT_THAT(owner.log.Of<OwnEnded>(), SizeIs(1));
  EXPECT_EQ(owner.log.Of<OwnEnded>()[0].id, Id(1));
  EXPECT_EQ(owner.driver->owner().counters().superseded, 1u);
}

TEST_F(DriverTest, ShutdownAnswersEveryBeginning) {
  Begin();
  owner.driver->Shutdown(absl::Seconds(1));
  EXPECT_THAT(owner.log.Of<OwnEnded>(), SizeIs(1));
  reader.driver->Shutdown(absl::Seconds(1));
  EXPECT_THAT(reader.log.Of<PullLost>(), SizeIs(1));
}

}  // namespace
}  // namespace baton
