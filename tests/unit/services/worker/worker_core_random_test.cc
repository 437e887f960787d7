#include "tests/unit/services/worker/core_world.h"

namespace baton {
namespace {

class RandomWorld : public testing::TestWithParam<WorkerRole> {};

TEST_P(RandomWorld, NothingLeaksAndEveryCallEndsOnce) {
  uint64_t calls = 0, held = 0, lost = 0, finished = 0, slow = 0;
  for (uint64_t seed = 1; seed <= 500 && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    CoreWorld world(seed, GetParam());
    for (int i = 0; i < 1500 && !HasFailure(); ++i) world.RandomEvent();
    if (!HasFailure()) world.Settle();
    calls += world.calls();
    const WorkerCounters& counters = world.core().counters();
    held += counters.pulled_held + counters.owned_held;
    lost += counters.pulled_lost + counters.owned_lost;
    finished += counters.finished;
    slow += counters.too_slow;
  }
  // The walk reached what it is for.
  EXPECT_GT(calls, 20000u);
  EXPECT_GT(held, 1000u);
  EXPECT_GT(lost, 1000u);
  EXPECT_GT(finished, 1000u);
  EXPECT_GT(slow, 50u);
}

INSTANTIATE_TEST_SUITE_P(Roles, RandomWorld, testing::Values(WorkerRole::kPrefill, WorkerRole::kDecode));

}  // namespace
}  // namespace baton
