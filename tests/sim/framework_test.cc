#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/calls.h"

namespace baton::sim {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class FrameworkTest : public testing::Test {
 protected:
  void RunAll() {
    while (queue_.RunOne()) {
    }
  }
  Calls::Id Open(std::vector<std::string>* log) {
    Calls::Server server;
    server.start = [log](Calls::Id) { log->push_back("started"); };
    server.on_broken = [log](Calls::Id) { log->push_back("broken at server"); };
    server.on_sent = [](Calls::Id, int64_t) {};
    return calls_.Open(1, 2, "test", {[log](absl::Status status) {
                         log->push_back(status.ok() ? "ended" : "broken at client");
                       }},
                       std::move(server));
  }

  Coverage coverage_;
  Trace trace_{false};
  EventQueue queue_{4};
  Network network_{&queue_, Prng(7), &coverage_, &trace_, 4};
  Calls calls_{&network_};
};

TEST_F(FrameworkTest, EventsRunInOrderOfTimeThenOfScheduling) {
  std::vector<int> ran;
  queue_.After(1, absl::Seconds(2), [&] { ran.push_back(3); });
  queue_.After(1, absl::Seconds(1), [&] { ran.push_back(1); });
  queue_.After(2, absl::Seconds(1), [&] { ran.push_back(2); });
  RunAll();
  EXPECT_THAT(ran, ElementsAre(1, 2, 3));
  EXPECT_EQ(queue_.now(), absl::UnixEpoch() + absl::Seconds(2));
}

TEST_F(FrameworkTest, ACrashDropsEventsOfThatLifeAndKeepsPacketsToTheAddress) {
  std::vector<int> ran;
  queue_.After(1, absl::Seconds(1), [&] { ran.push_back(1); });
  queue_.AfterAnyLife(1, absl::Seconds(1), [&] { ran.push_back(2); });
  queue_.Kill(1);
  queue_.Revive(1);
  RunAll();
  EXPECT_THAT(ran, ElementsAre(2));
}

TEST_F(FrameworkTest, APausedNodeRunsItsEventsLaterAndInOrder) {
  std::vector<int> ran;
  queue_.After(1, absl::Seconds(1), [&] { ran.push_back(1); });
  queue_.After(1, absl::Seconds(2), [&] { ran.push_back(2); });
  queue_.Pause(1, absl::Seconds(5));
  RunAll();
  EXPECT_THAT(ran, ElementsAre(1, 2));
  EXPECT_EQ(queue_.now(), absl::UnixEpoch() + absl::Seconds(5));
}

TEST_F(FrameworkTest, DatagramsAreLostDuplicatedAndCutAsToldTo) {
  int arrived = 0;
  const auto send = [&] { network_.Send(1, 2, "ping", false, [&](uint64_t) { ++arrived; }); };
  network_.SetFaults({.loss = 1000});
  send();
  RunAll();
  EXPECT_EQ(arrived, 0);
  network_.SetFaults({.duplicate = 1000});
  send();
  RunAll();
  EXPECT_EQ(arrived, 2);
  network_.Cut(1, 2);
  send();
  RunAll();
  EXPECT_EQ(arrived, 2);
  network_.Heal();
  send();
  RunAll();
  EXPECT_EQ(arrived, 3);
  EXPECT_EQ(coverage_.count("wire/ping/cut off"), 1u);
}

TEST_F(FrameworkTest, OnlyDatagramsWithBytesAreCorrupted) {
  uint64_t plain = 1, bytes = 0;
  network_.SetFaults({.corrupt = 1000});
  network_.Send(1, 2, "ping", false, [&](uint64_t corruption) { plain = corruption; });
  network_.Send(1, 2, "ping", true, [&](uint64_t corruption) { bytes = corruption; });
  RunAll();
  EXPECT_EQ(plain, 0u);
  EXPECT_NE(bytes, 0u);
}

TEST_F(FrameworkTest, ACallDeliversInOrderAndEnds) {
  std::vector<std::string> log;
  const Calls::Id id = Open(&log);
  RunAll();
  for (const char* text : {"a", "b", "c"}) calls_.Emit(id, [&log, text] { log.push_back(text); });
  calls_.End(id, absl::OkStatus());
  RunAll();
  EXPECT_THAT(log, ElementsAre("started", "a", "b", "c", "ended"));
  EXPECT_THAT(calls_.open(), IsEmpty());
}

TEST_F(FrameworkTest, ACancelReachesTheServerAndSilencesTheClient) {
  std::vector<std::string> log;
  const Calls::Id id = Open(&log);
  RunAll();
  calls_.Emit(id, [&log] { log.push_back("late"); });
  EXPECT_TRUE(calls_.Cancel(id));
  EXPECT_FALSE(calls_.Cancel(id));
  RunAll();
  EXPECT_THAT(log, ElementsAre("started", "broken at server"));
  EXPECT_THAT(calls_.open(), IsEmpty());
}

TEST_F(FrameworkTest, ADeadServerBreaksItsCallsAndRefusesNewOnes) {
  std::vector<std::string> log;
  Open(&log);
  RunAll();
  queue_.Kill(2);
  calls_.OnNodeDied(2);
  RunAll();
  Open(&log);
  RunAll();
  EXPECT_THAT(log, ElementsAre("started", "broken at client", "broken at client"));
  EXPECT_THAT(calls_.open(), IsEmpty());
}

TEST_F(FrameworkTest, ACutStallsACallUntilItIsMended) {
  std::vector<std::string> log;
  const Calls::Id id = Open(&log);
  RunAll();
  network_.Cut(2, 1);
  calls_.Emit(id, [&log] { log.push_back("a"); });
  calls_.End(id, absl::OkStatus());
  RunAll();
  EXPECT_THAT(log, ElementsAre("started"));
  network_.Mend(2, 1);
  calls_.OnMended();
  RunAll();
  EXPECT_THAT(log, ElementsAre("started", "a", "ended"));
}

TEST_F(FrameworkTest, ABreakReachesBothSides) {
  std::vector<std::string> log;
  const Calls::Id id = Open(&log);
  RunAll();
  calls_.Break(id);
  RunAll();
  EXPECT_THAT(log, testing::UnorderedElementsAre("started", "broken at client", "broken at server"));
  EXPECT_THAT(calls_.open(), IsEmpty());
}

}  // namespace
}  // namespace baton::sim
