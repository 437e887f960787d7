#include "services/router/policy/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace baton::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const MonoTime kStart = absl::UnixEpoch();
const MonoTime kNever = absl::InfiniteFuture();
constexpr auto kAdmitted = AdmissionAnswer::kAdmitted;
constexpr auto kQueued = AdmissionAnswer::kQueued;
constexpr auto kRejected = AdmissionAnswer::kRejected;

TEST(Admission, BoundsRequestsAndKeepsOrder) {
  Admission admission({.max_inflight = 1, .max_queue = 2});
  EXPECT_EQ(admission.Arrive(1, {.tokens = 10}, kStart).answer, kAdmitted);
  EXPECT_EQ(admission.Arrive(2, {.tokens = 10}, kStart).answer, kQueued);
  EXPECT_EQ(admission.Arrive(3, {.tokens = 10}, kStart).answer, kQueued);
  EXPECT_EQ(admission.Arrive(4, {.tokens = 10}, kStart).answer, kRejected);
  EXPECT_THAT(admission.Leave(1, kStart).admitted, ElementsAre(2));
  EXPECT_THAT(admission.Leave(2, kStart).admitted, ElementsAre(3));
  EXPECT_THAT(admission.Leave(3, kStart).admitted, IsEmpty());
  EXPECT_EQ(admission.inflight() + admission.queued(), 0u);
  EXPECT_EQ(admission.inflight_tokens() + admission.queued_tokens(), 0u);
}

TEST(Admission, BoundsTokensButAlwaysAdmitsOneAlone) {
  Admission admission({.max_inflight_tokens = 100, .max_queue_tokens = 100});
  EXPECT_EQ(admission.Arrive(1, {.tokens = 500}, kStart).answer, kAdmitted);
  EXPECT_EQ(admission.Arrive(2, {.tokens = 60}, kStart).answer, kQueued);
  EXPECT_EQ(admission.Arrive(3, {.tokens = 60}, kStart).answer, kRejected) << "queue tokens";
  EXPECT_EQ(admission.Arrive(4, {.tokens = 30}, kStart).answer, kQueued) << "never overtakes";
  EXPECT_THAT(admission.Leave(1, kStart).admitted, ElementsAre(2, 4));
}

TEST(Admission, QueuedRequestsExpire) {
  Admission admission({.max_inflight = 1, .max_queue_time = absl::Seconds(5)});
  admission.Arrive(1, {.tokens = 1}, kStart);
  admission.Arrive(2, {.tokens = 1, .deadline = kStart + absl::Seconds(2)}, kStart);
  admission.Arrive(3, {.tokens = 1}, kStart);
  EXPECT_EQ(admission.NextDeadline(), kStart + absl::Seconds(2));
  EXPECT_THAT(admission.Tick(kStart + absl::Seconds(2)).expired, ElementsAre(2));
  EXPECT_EQ(admission.NextDeadline(), kStart + absl::Seconds(5));
  const AdmissionChanges late = admission.Leave(1, kStart + absl::Seconds(6));
  EXPECT_THAT(late.expired, ElementsAre(3));
  EXPECT_THAT(late.admitted, IsEmpty()) << "too late is too late";
  EXPECT_EQ(admission.NextDeadline(), kNever);
}

TEST(Admission, QueuedRequestsMayLeave) {
  Admission admission({.max_inflight = 1});
  admission.Arrive(1, {.tokens = 1}, kStart);
  admission.Arrive(2, {.tokens = 1}, kStart);
  admission.Leave(2, kStart);
  EXPECT_EQ(admission.queued(), 0u);
  EXPECT_THAT(admission.Leave(1, kStart).admitted, IsEmpty());
  EXPECT_THAT(admission.Leave(77, kStart).admitted, IsEmpty()) << "unknown tickets are ignored";
}

TEST(Admission, RetryAfterFollowsTheRateOfEnds) {
  Admission admission({.max_inflight = 2, .max_queue = 9});
  MonoTime now = kStart;
  EXPECT_EQ(admission.RetryAfter(now), absl::Seconds(1)) << "nothing known: the least";
  for (AdmissionTicket ticket = 1; ticket <= 6; ++ticket) admission.Arrive(ticket, {.tokens = 1}, now);
  for (AdmissionTicket ticket = 1; ticket <= 3; ++ticket) {
    now += absl::Seconds(4);
    admission.Leave(ticket, now);
  }
  EXPECT_EQ(admission.queued(), 1u);
  EXPECT_EQ(admission.RetryAfter(now), absl::Seconds(8)) << "two places, one every four seconds";
  EXPECT_EQ(admission.RetryAfter(now + absl::Hours(9)), absl::Seconds(60)) << "the most";
}

// One request a second, each of ten tokens, with others waiting: so much is known of the rate.
MonoTime Warm(Admission& admission, int requests) {
  MonoTime now = kStart;
  for (int i = 0; i < requests; ++i) admission.Arrive(1000 + i, {.tokens = 10}, now);
  for (int i = 0; i < requests; ++i) {
    now += absl::Seconds(1);
    admission.FirstToken(1000 + i, now);
    admission.Leave(1000 + i, now, 5);
  }
  EXPECT_EQ(admission.inflight() + admission.queued(), 0u);
  return now;
}

TEST(Admission, RefusesAtOnceWhatWouldMissItsSlo) {
  Admission admission({.max_inflight = 1, .ttft_slo = absl::Seconds(5)});
  const MonoTime now = Warm(admission, 4);
  EXPECT_EQ(admission.Arrive(1, {.tokens = 10}, now).answer, kAdmitted);
  EXPECT_EQ(admission.Arrive(2, {.tokens = 10}, now).answer, kQueued) << "nothing before it";
  EXPECT_EQ(admission.Arrive(3, {.tokens = 10}, now).answer, kQueued) << "a second's worth before it";
  AdmissionDecision decision;
  int queued = 2;
  for (AdmissionTicket ticket = 4; ticket < 20; ++ticket) {
    decision = admission.Arrive(ticket, {.tokens = 10}, now);
    if (decision.answer == kQueued) ++queued;
  }
  EXPECT_EQ(decision.answer, kRejected);
  EXPECT_LE(queued, 4) << "five seconds, less one of work";
  EXPECT_GE(decision.retry_after, absl::Seconds(1));
  EXPECT_LE(decision.retry_after, absl::Seconds(3));
  EXPECT_LE(admission.NextDeadline(), now + absl::Seconds(5)) << "none waits beyond what it was promised";
}

TEST(Admission, FollowsWhatThePagesHold) {
  Admission admission({});
  admission.SetCapacity(100, kStart);
  EXPECT_EQ(admission.Arrive(1, {.tokens = 60}, kStart).answer, kAdmitted);
  EXPECT_EQ(admission.Arrive(2, {.tokens = 60}, kStart).answer, kQueued);
  EXPECT_THAT(admission.SetCapacity(200, kStart).admitted, ElementsAre(2)) << "a worker came";
}

TEST(Admission, UrgentRequestsGoFirstAndKeysShare) {
  Admission admission({.max_inflight = 1});
  admission.Arrive(1, {.tokens = 1}, kStart);
  for (AdmissionTicket ticket = 10; ticket < 13; ++ticket)
    admission.Arrive(ticket, {.tokens = 10, .flow = {.id = 7}}, kStart);
  admission.Arrive(20, {.tokens = 10, .flow = {.id = 8}}, kStart);
  admission.Arrive(30, {.tokens = 10, .priority = 3, .flow = {.id = 7}}, kStart);
  EXPECT_THAT(admission.Leave(1, kStart).admitted, ElementsAre(30));
  EXPECT_THAT(admission.Leave(30, kStart).admitted, ElementsAre(10));
  EXPECT_THAT(admission.Leave(10, kStart).admitted, ElementsAre(20)) << "not behind all of the other key's";
}

TEST(Admission, CountsAnswersAsTheyTurnOut) {
  Admission admission({});
  EXPECT_EQ(admission.ExpectedAnswer(4096), 256u) << "nothing known";
  EXPECT_EQ(admission.ExpectedAnswer(16), 16u);
  for (AdmissionTicket ticket = 1; ticket < 100; ++ticket) {
    admission.Arrive(ticket, {.tokens = 1}, kStart);
    admission.Leave(ticket, kStart, 30);
  }
  EXPECT_NEAR(admission.ExpectedAnswer(4096), 60, 1);
}

}  // namespace
}  // namespace baton::router
