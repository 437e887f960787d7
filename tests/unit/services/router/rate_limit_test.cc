#include "services/router/policy/rate_limit.h"

#include <gtest/gtest.h>

namespace baton::router {
namespace {

const MonoTime kStart = absl::UnixEpoch();
constexpr absl::Duration kPasses = absl::ZeroDuration();

TEST(RateLimit, RequestsAMinute) {
  RateLimiter limiter;
  const RateLimits limits{.requests_per_minute = 2};
  EXPECT_EQ(limiter.Take(1, limits, 1000, kStart), kPasses);
  EXPECT_EQ(limiter.Take(1, limits, 1000, kStart), kPasses);
  EXPECT_EQ(limiter.Take(1, limits, 1, kStart), absl::Seconds(30));
  EXPECT_EQ(limiter.Take(1, limits, 1, kStart + absl::Seconds(20)), absl::Seconds(10));
  EXPECT_EQ(limiter.Take(1, limits, 1, kStart + absl::Seconds(30)), kPasses) << "as was said";
  EXPECT_EQ(limiter.Take(2, limits, 1, kStart), kPasses) << "another key's bucket";
}

TEST(RateLimit, TokensAMinuteAndWhatIsGivenBack) {
  RateLimiter limiter;
  const RateLimits limits{.tokens_per_minute = 600};
  EXPECT_EQ(limiter.Take(1, limits, 600, kStart), kPasses);
  EXPECT_EQ(limiter.Take(1, limits, 100, kStart), absl::Seconds(10));
  limiter.GiveBack(1, 0, 100);
  EXPECT_EQ(limiter.Take(1, limits, 100, kStart), kPasses);
  limiter.GiveBack(1, 0, -100);
  EXPECT_EQ(limiter.Take(1, limits, 100, kStart), absl::Seconds(20)) << "more was used than taken";
}

TEST(RateLimit, LargerThanTheBucketPassesWhenItIsFull) {
  RateLimiter limiter;
  const RateLimits limits{.tokens_per_minute = 60};
  EXPECT_EQ(limiter.Take(1, limits, 180, kStart), kPasses);
  EXPECT_EQ(limiter.Take(1, limits, 1, kStart), absl::Seconds(121)) << "and leaves a debt";
  EXPECT_EQ(limiter.Take(1, limits, 180, kStart + absl::Seconds(180)), kPasses);
}

TEST(RateLimit, IsDividedAmongRouters) {
  RateLimiter limiter;
  limiter.SetRouters(4);
  const RateLimits limits{.requests_per_minute = 8};
  EXPECT_EQ(limiter.Take(1, limits, 1, kStart), kPasses);
  EXPECT_EQ(limiter.Take(1, limits, 1, kStart), kPasses);
  EXPECT_EQ(limiter.Take(1, limits, 1, kStart), absl::Seconds(30));
  limiter.SetRouters(1);
  EXPECT_EQ(limiter.Take(1, limits, 1, kStart), absl::Minutes(1) / 8)
      << "the share that was used up stays so";
}

TEST(RateLimit, FewerThanOneARouter) {
  RateLimiter limiter;
  limiter.SetRouters(4);
  const RateLimits limits{.requests_per_minute = 2};
  MonoTime now = kStart;
  int passed = 0;
  for (int s = 0; s < 1200; ++s, now += absl::Seconds(1))
    passed += limiter.Take(1, limits, 1, now) == kPasses;
  EXPECT_NEAR(passed, 10, 1) << "a quarter of two a minute for twenty minutes";
}

TEST(RateLimit, KeysWithoutLimitsTakeNoMemory) {
  RateLimiter limiter;
  EXPECT_EQ(limiter.Take(1, {}, 1u << 30, kStart), kPasses);
  EXPECT_EQ(limiter.keys(), 0u);
  limiter.Take(2, {.requests_per_minute = 1}, 1, kStart);
  EXPECT_EQ(limiter.keys(), 1u);
  limiter.Forget(kStart + absl::Hours(1));
  EXPECT_EQ(limiter.keys(), 0u);
}

}  // namespace
}  // namespace baton::router
