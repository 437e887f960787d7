// Thousands of seeded stories of two processes: held only with the right bytes, both sides end, nothing is
// left.

#include "tests/unit/services/kv_transfer/two_party.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

using testing::FaultRates;
using testing::TwoParties;

struct Sums {
  int held = 0, lost = 0;
};

Sums RunSeeds(uint64_t first, uint64_t count, const FaultRates& rates, bool disturb) {
  Sums sums;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    TwoParties parties(seed, rates);
    parties.Run(disturb);
    sums.held += parties.held();
    sums.lost += parties.lost();
    if (::testing::Test::HasFailure()) break;
  }
  return sums;
}

TEST(TwoPartyTest, AllHeldWithoutFaults) {
  const Sums sums = RunSeeds(1, 500, {}, false);
  EXPECT_EQ(sums.held, 500 * TwoParties::kHandoffs);
  EXPECT_EQ(sums.lost, 0);
}

TEST(TwoPartyTest, AllHeldUnderDuplicatesReorderingAndSomeLoss) {
  const Sums sums = RunSeeds(
      1000, 1000, {.drop = 0.03, .duplicate = 0.2, .delay = 0.3, .longest_delay = absl::Milliseconds(80)},
      false);
  EXPECT_GE(sums.held, 1000 * TwoParties::kHandoffs * 99 / 100);
}

TEST(TwoPartyTest, SafeUnderEverything) {
  const Sums sums = RunSeeds(
      10000, 2000,
      {.drop = 0.15, .duplicate = 0.2, .delay = 0.4, .corrupt = 0.02, .longest_delay = absl::Seconds(3)},
      true);
  EXPECT_GT(sums.held, 500);
  EXPECT_GT(sums.lost, 500);
}

TEST(TwoPartyTest, SafeWhenReadsCannotBeRecalled) {
  const Sums sums = RunSeeds(
      20000, 1500,
      {.drop = 0.05, .duplicate = 0.1, .delay = 0.5, .longest_delay = absl::Seconds(4), .lazy_abort = true},
      true);
  EXPECT_GT(sums.held, 300);
  EXPECT_GT(sums.lost, 300);
}

}  // namespace
}  // namespace baton
