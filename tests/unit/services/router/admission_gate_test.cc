#include "services/router/serve/admission_gate.h"

#include <gtest/gtest.h>

namespace baton::router {
namespace {

TEST(AdmissionGate, SettlesQueuedRequestsOnce) {
  ManualClock clock;
  AdmissionGate gate({.max_inflight = 1, .max_queue_time = absl::Seconds(5)}, clock);
  const auto never = [](bool) { ADD_FAILURE(); };
  const auto first = gate.Arrive(1, absl::InfiniteFuture(), never);
  EXPECT_EQ(first.decision.answer, AdmissionAnswer::kAdmitted);
  int admitted = 0, expired = 0;
  const auto count = [&](bool in) { ++(in ? admitted : expired); };
  const auto second = gate.Arrive(1, absl::InfiniteFuture(), count);
  gate.Arrive(1, absl::InfiniteFuture(), count);
  const auto gone = gate.Arrive(1, absl::InfiniteFuture(), never);
  EXPECT_EQ(gate.load().queued, 3u);
  gate.Leave(gone.ticket);
  gate.Leave(first.ticket);
  EXPECT_EQ(admitted, 1);
  clock.Advance(absl::Seconds(6));
  gate.Tick();
  EXPECT_EQ(expired, 1);
  gate.Leave(second.ticket);
  EXPECT_EQ(gate.load().inflight + gate.load().queued, 0u);
  EXPECT_EQ(admitted + expired, 2);
}

}  // namespace
}  // namespace baton::router
