#include "services/router/policy/admission_limit.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "services/router/policy/admission.h"

namespace baton::router {
namespace {

const MonoTime kStart = absl::UnixEpoch();

// Requests that all take `took` of a target of one second, with others held back.
void Feed(AdmissionLimit& limit, MonoTime& now, absl::Duration took, int requests = 10) {
  for (int i = 0; i < requests; ++i) {
    now += absl::Milliseconds(150);
    limit.HeldBack();
    limit.FirstToken(now - took, now);
  }
}

TEST(AdmissionLimit, WithoutTargetsItIsTheMost) {
  AdmissionLimit limit({.most = 99});
  MonoTime now = kStart;
  Feed(limit, now, absl::Hours(1));
  EXPECT_EQ(limit.value(), 99u);
}

TEST(AdmissionLimit, DoublesThenCutsThenGrowsSlowly) {
  AdmissionLimit limit({.most = 64, .start = 4, .first_token_target = absl::Seconds(1)});
  MonoTime now = kStart;
  Feed(limit, now, absl::Milliseconds(100));
  EXPECT_EQ(limit.value(), 8u);
  Feed(limit, now, absl::Milliseconds(100), 100);
  EXPECT_EQ(limit.value(), 64u);
  Feed(limit, now, absl::Milliseconds(1600), 10);
  EXPECT_EQ(limit.value(), 40u) << "by as much as the target was missed";
  Feed(limit, now, absl::Milliseconds(100));
  EXPECT_EQ(limit.value(), 44u);
  Feed(limit, now, absl::Seconds(10), 1000);
  EXPECT_EQ(limit.value(), 1u) << "never none";
}

TEST(AdmissionLimit, DoesNotGrowWhenNothingIsHeldBack) {
  AdmissionLimit limit({.start = 4, .gap_target = absl::Seconds(1)});
  MonoTime now = kStart;
  for (int i = 0; i < 100; ++i) {
    now += absl::Milliseconds(100);
    limit.MeanGap(now, absl::Milliseconds(10), now);
  }
  EXPECT_EQ(limit.value(), 4u);
}

TEST(AdmissionLimit, JudgesNoneThatSufferedUnderAnotherLimit) {
  AdmissionLimit limit({.start = 8, .first_token_target = absl::Seconds(1)});
  MonoTime now = kStart + absl::Hours(1);
  Feed(limit, now, absl::Seconds(4));
  EXPECT_EQ(limit.value(), 4u);
  const MonoTime before = now - absl::Seconds(4);
  for (int i = 0; i < 100; ++i) limit.FirstToken(before, now += absl::Milliseconds(100));
  EXPECT_EQ(limit.value(), 4u);
}

// A server that does ten first tokens a second, shared by all that it has, and is offered four times as many.
// What Admission lets in keeps its promise, and little of what the server can do is lost.
TEST(AdmissionLimit, OverloadKeepsGoodput) {
  constexpr absl::Duration kSlo = absl::Seconds(2), kStep = absl::Milliseconds(25);
  constexpr int kSteps = 40 * 120;
  Admission admission({.max_queue = 1000, .ttft_slo = kSlo});
  struct Request {
    AdmissionTicket ticket;
    MonoTime arrived;
    double work = 1;
  };
  std::map<AdmissionTicket, MonoTime> waiting;
  std::deque<Request> served;
  int in_time = 0, late = 0, expired = 0, refused = 0;
  MonoTime now = kStart;
  const auto apply = [&](const AdmissionChanges& changes) {
    for (const AdmissionTicket ticket : changes.admitted) {
      served.push_back({ticket, waiting.at(ticket)});
      waiting.erase(ticket);
    }
    for (const AdmissionTicket ticket : changes.expired) expired += waiting.erase(ticket);
  };
  for (int step = 0; step < kSteps; ++step, now += kStep) {
    const AdmissionTicket ticket = static_cast<AdmissionTicket>(step) + 1;
    const AdmissionDecision decision = admission.Arrive(ticket, {.tokens = 100}, now);
    if (decision.answer == AdmissionAnswer::kAdmitted) served.push_back({ticket, now});
    if (decision.answer == AdmissionAnswer::kQueued) waiting[ticket] = now;
    refused += decision.answer == AdmissionAnswer::kRejected;
    const double each = 10 * absl::ToDoubleSeconds(kStep) / std::max<double>(1, double(served.size()));
    for (Request& request : served) request.work -= each;
    while (!served.empty() && served.front().work <= 1e-9) {
      const Request done = served.front();
      served.pop_front();
      if (step > kSteps / 4) ++(now - done.arrived <= kSlo ? in_time : late);
      admission.FirstToken(done.ticket, now);
      apply(admission.Leave(done.ticket, now, 10));
    }
    apply(admission.Tick(now));
  }
  EXPECT_GE(in_time, 0.9 * 10 * 90) << "of what the server can do in the last ninety seconds";
  EXPECT_LE(late, 0.05 * in_time);
  EXPECT_GT(refused, 0.6 * kSteps);
  EXPECT_LT(expired, 0.02 * kSteps) << "those that cannot be served are told at once";
}

}  // namespace
}  // namespace baton::router
