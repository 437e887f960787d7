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
  EXPECT_EQ(admission.Arrive(1, 10, kNever, kStart).answer, kAdmitted);
  EXPECT_EQ(admission.Arrive(2, 10, kNever, kStart).answer, kQueued);
  EXPECT_EQ(admission.Arrive(3, 10, kNever, kStart).answer, kQueued);
  EXPECT_EQ(admission.Arrive(4, 10, kNever, kStart).answer, kRejected);
  EXPECT_THAT(admission.Leave(1, kStart).admitted, ElementsAre(2));
  EXPECT_THAT(admission.Leave(2, kStart).admitted, ElementsAre(3));
  EXPECT_THAT(admission.Leave(3, kStart).admitted, IsEmpty());
  EXPECT_EQ(admission.inflight() + admission.queued(), 0u);
  EXPECT_EQ(admission.inflight_tokens() + admission.queued_tokens(), 0u);
}

TEST(Admission, BoundsTokensButAlwaysAdmitsOneAlone) {
  Admission admission({.max_inflight_tokens = 100, .max_queue_tokens = 100});
  EXPECT_EQ(admission.Arrive(1, 500, kNever, kStart).answer, kAdmitted);
  EXPECT_EQ(admission.Arrive(2, 60, kNever, kStart).answer, kQueued);
  EXPECT_EQ(admission.Arrive(3, 60, kNever, kStart).answer, kRejected) << "queue tokens";
  EXPECT_EQ(admission.Arrive(4, 30, kNever, kStart).answer, kQueued) << "never overtakes";
  EXPECT_THAT(admission.Leave(1, kStart).admitted, ElementsAre(2, 4));
}

TEST(Admission, QueuedRequestsExpire) {
  Admission admission({.max_inflight = 1, .max_queue_time = absl::Seconds(5)});
  admission.Arrive(1, 1, kNever, kStart);
  admission.Arrive(2, 1, kStart + absl::Seconds(2), kStart);
  admission.Arrive(3, 1, kNever, kStart);
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
  admission.Arrive(1, 1, kNever, kStart);
  admission.Arrive(2, 1, kNever, kStart);
  admission.Leave(2, kStart);
  EXPECT_EQ(admission.queued(), 0u);
  EXPECT_THAT(admission.Leave(1, kStart).admitted, IsEmpty());
  EXPECT_THAT(admission.Leave(77, kStart).admitted, IsEmpty()) << "unknown tickets are ignored";
}

TEST(Admission, RetryAfterFollowsTheRateOfEnds) {
  Admission admission({.max_inflight = 2, .max_queue = 9});
  MonoTime now = kStart;
  EXPECT_EQ(admission.RetryAfter(now), absl::Seconds(1)) << "nothing known: the least";
  for (AdmissionTicket ticket = 1; ticket <= 6; ++ticket) admission.Arrive(ticket, 1, kNever, now);
  for (AdmissionTicket ticket = 1; ticket <= 3; ++ticket) {
    now += absl::Seconds(4);
    admission.Leave(ticket, now);
  }
  EXPECT_EQ(admission.queued(), 1u);
  EXPECT_EQ(admission.RetryAfter(now), absl::Seconds(8)) << "two places, one every four seconds";
  EXPECT_EQ(admission.RetryAfter(now + absl::Hours(9)), absl::Seconds(60)) << "the most";
}

}  // namespace
}  // namespace baton::router
