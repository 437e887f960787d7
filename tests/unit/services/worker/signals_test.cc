#include "services/worker/signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace baton {
namespace {

TEST(StopSignals, CanBeWaitedForInSteps) {
  StopSignals signals;
  EXPECT_FALSE(signals.WaitFor(absl::ZeroDuration()));
  EXPECT_FALSE(signals.WaitFor(absl::Milliseconds(5)));
  ASSERT_EQ(kill(getpid(), SIGTERM), 0);
  EXPECT_TRUE(signals.WaitFor(absl::Seconds(30)));
  EXPECT_TRUE(signals.WaitFor(absl::ZeroDuration())) << "it stays";
}

}  // namespace
}  // namespace baton
