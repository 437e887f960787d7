#include "services/router/serve/admission_gate.h"

#include <gtest/gtest.h>

namespace baton::router {
namespace {

const auto kNever = [](bool) { ADD_FAILURE(); };
uint64_t Unknown() {
  return 0;
}

TEST(AdmissionGate, SettlesQueuedRequestsOnce) {
  ManualClock clock;
  AdmissionGate gate({.max_inflight = 1, .max_queue_time = absl::Seconds(5)}, clock, Unknown);
  const auto first = gate.Arrive({}, {}, kNever);
  EXPECT_EQ(first.answer, AdmissionAnswer::kAdmitted);
  int admitted = 0, expired = 0;
  const auto count = [&](bool in) { ++(in ? admitted : expired); };
  const auto second = gate.Arrive({}, {}, count);
  gate.Arrive({}, {}, count);
  const auto gone = gate.Arrive({}, {}, kNever);
  EXPECT_EQ(gate.load().queued, 3u);
  gate.Leave(gone.ticket, {});
  gate.Leave(first.ticket, {});
  EXPECT_EQ(admitted, 1);
  clock.Advance(absl::Seconds(6));
  gate.Tick();
  EXPECT_EQ(expired, 1);
  gate.Leave(second.ticket, {});
  EXPECT_EQ(gate.load().inflight + gate.load().queued, 0u);
  EXPECT_EQ(admitted + expired, 2);
}

TEST(AdmissionGate, WhoeverGivesWayIsTold) {
  ManualClock clock;
  AdmissionGate gate({.max_inflight = 1, .max_queue = 2}, clock, Unknown);
  const Caller greedy{.flow = {.id = 1}}, modest{.flow = {.id = 2}};
  gate.Arrive(greedy, {}, kNever);
  gate.Arrive(greedy, {}, kNever);
  int refused = 0;
  gate.Arrive(greedy, {}, [&](bool in) { refused += !in; });
  EXPECT_EQ(gate.Arrive(modest, {}, kNever).answer, AdmissionAnswer::kQueued);
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(gate.Arrive(greedy, {}, kNever).refusal, AdmissionGate::Refusal::kFull);
}

TEST(AdmissionGate, RateLimitsAreAKeysOwnAndCountWhatWasUsed) {
  ManualClock clock;
  AdmissionGate gate({}, clock, Unknown);
  const Caller limited{.flow = {.id = 1}, .limits = {.tokens_per_minute = 600}};
  const AdmissionGate::Request request{.prompt_tokens = 200, .most_tokens = 100};
  const auto first = gate.Arrive(limited, request, kNever);
  EXPECT_EQ(gate.Arrive(limited, request, kNever).answer, AdmissionAnswer::kAdmitted);
  const auto third = gate.Arrive(limited, request, kNever);
  EXPECT_EQ(third.refusal, AdmissionGate::Refusal::kRequestRate);
  EXPECT_EQ(third.retry_after, absl::Seconds(30));
  EXPECT_EQ(gate.Arrive({}, request, kNever).answer, AdmissionAnswer::kAdmitted) << "another's";
  gate.Leave(first.ticket, {.tokens = 0, .longest_answer = 0});
  EXPECT_EQ(gate.Arrive(limited, request, kNever).answer, AdmissionAnswer::kAdmitted) << "unused";
  gate.SetRouters(2);
  clock.Advance(absl::Minutes(9));
  EXPECT_EQ(gate.Arrive(limited, request, kNever).answer, AdmissionAnswer::kAdmitted);
  EXPECT_EQ(gate.Arrive(limited, request, kNever).retry_after, absl::Seconds(60)) << "half of it is here";
}

TEST(AdmissionGate, DividesThePagesAmongRouters) {
  ManualClock clock;
  AdmissionGate gate({}, clock, [] { return uint64_t{1000}; });
  gate.SetRouters(2);
  const AdmissionGate::Request request{.prompt_tokens = 300, .most_tokens = 1};
  EXPECT_EQ(gate.Arrive({}, request, kNever).answer, AdmissionAnswer::kAdmitted);
  EXPECT_EQ(gate.Arrive({}, request, kNever).answer, AdmissionAnswer::kQueued);
}

}  // namespace
}  // namespace baton::router
