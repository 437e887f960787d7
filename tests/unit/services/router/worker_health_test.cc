#include "services/router/policy/worker_health.h"

#include <gtest/gtest.h>

namespace baton::router {
namespace {

const MonoTime kStart = absl::UnixEpoch();
MonoTime At(int ms) {
  return kStart + absl::Milliseconds(ms);
}
constexpr WorkerHealthConfig kConfig{.min_pause = absl::Milliseconds(100),
                                     .max_pause = absl::Milliseconds(400)};

TEST(WorkerHealth, AFailedCallMakesItSuspectForAPause) {
  WorkerHealth health(kConfig);
  EXPECT_FALSE(health.Suspect(kStart));
  health.Placed(kStart);
  EXPECT_FALSE(health.Suspect(kStart)) << "a sound worker takes any number";
  health.CallFailed(kStart);
  EXPECT_TRUE(health.Suspect(At(99)));
  EXPECT_FALSE(health.Suspect(At(100)));
}

TEST(WorkerHealth, OneProbeAPauseUntilACallWorks) {
  WorkerHealth health(kConfig);
  health.CallFailed(kStart);
  health.Placed(At(100));
  EXPECT_TRUE(health.Suspect(At(100))) << "the probe is on its way";
  EXPECT_FALSE(health.Suspect(At(300))) << "nothing became of it: the next";
  health.Placed(At(300));
  health.CallWorked();
  EXPECT_FALSE(health.Suspect(At(300)));
  health.CallFailed(At(301));
  EXPECT_FALSE(health.Suspect(At(401))) << "the pauses begin anew";
}

TEST(WorkerHealth, PausesDoubleUpToTheLongest) {
  WorkerHealth health(kConfig);
  int now = 0;
  for (const int pause : {100, 200, 400, 400}) {
    health.CallFailed(At(now));
    health.CallFailed(At(now + 1));  // of the same death
    EXPECT_TRUE(health.Suspect(At(now + pause - 1))) << pause;
    EXPECT_FALSE(health.Suspect(At(now + pause))) << pause;
    now += pause;
  }
}

}  // namespace
}  // namespace baton::router
