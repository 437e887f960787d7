#include "services/worker/attempt_table.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

constexpr StreamId kStream{1, 1};
const MonoTime kStart = absl::UnixEpoch() + absl::Hours(1);

TEST(AttemptTable, TheSameAttemptOncePerKind) {
  AttemptTable table({});
  bool raised = true;
  ASSERT_TRUE(table.See(kStream, {1, 1}, CallKind::kDecode, kStart, &raised).ok());
  EXPECT_FALSE(raised);
  table.Begin(kStream, {1, 1}, CallKind::kDecode);
  EXPECT_TRUE(table.See(kStream, {1, 1}, CallKind::kPrefill, kStart, &raised).ok());
  EXPECT_TRUE(absl::IsAborted(table.See(kStream, {1, 1}, CallKind::kDecode, kStart, &raised)));
  EXPECT_TRUE(absl::IsAborted(table.See(kStream, {1, 0}, CallKind::kPrefill, kStart, &raised)));
  EXPECT_TRUE(table.See(kStream, {2, 0}, CallKind::kDecode, kStart, &raised).ok());
  EXPECT_TRUE(raised);
}

TEST(AttemptTable, OneAttemptIsOneEndOfAHandoff) {
  bool raised;
  const auto after = [&](CallKind first, CallKind then) {
    AttemptTable table({});
    EXPECT_TRUE(table.See(kStream, {1, 1}, first, kStart, &raised).ok());
    table.Begin(kStream, {1, 1}, first);
    return table.See(kStream, {1, 1}, then, kStart, &raised);
  };
  const std::pair<CallKind, CallKind> same[] = {{CallKind::kPrefill, CallKind::kShare},
                                                {CallKind::kDecode, CallKind::kFetch}};
  for (const auto& [one, other] : same) {
    EXPECT_TRUE(absl::IsAborted(after(one, other)));
    EXPECT_TRUE(absl::IsAborted(after(other, one)));
  }
  EXPECT_TRUE(after(CallKind::kShare, CallKind::kFetch).ok());
  EXPECT_TRUE(after(CallKind::kPrefill, CallKind::kFetch).ok());
  EXPECT_TRUE(after(CallKind::kDecode, CallKind::kShare).ok());
}

TEST(AttemptTable, SeenButNotServedMayComeAgain) {
  AttemptTable table({});
  bool raised;
  ASSERT_TRUE(table.See(kStream, {1, 1}, CallKind::kDecode, kStart, &raised).ok());
  ASSERT_TRUE(table.See(kStream, {1, 1}, CallKind::kDecode, kStart, &raised).ok());
  table.Begin(kStream, {1, 1}, CallKind::kDecode);
  table.End(kStream, {1, 1}, CallKind::kDecode, true, kStart);
  EXPECT_TRUE(table.See(kStream, {1, 1}, CallKind::kDecode, kStart, &raised).ok());
  EXPECT_EQ(table.serving(), 0u);
}

TEST(AttemptTable, AHigherAttemptKeepsAnIdleStream) {
  AttemptTable table({.retention = absl::Minutes(1)});
  bool raised;
  ASSERT_TRUE(table.See(kStream, {1, 1}, CallKind::kDecode, kStart, &raised).ok());
  const MonoTime soon = kStart + absl::Seconds(50);
  ASSERT_TRUE(table.See(kStream, {1, 2}, CallKind::kDecode, soon, &raised).ok());
  EXPECT_FALSE(raised);
  table.Expire(kStart + absl::Seconds(61));
  EXPECT_TRUE(absl::IsAborted(table.See(kStream, {1, 1}, CallKind::kDecode, soon, &raised)));
  table.Expire(soon + absl::Minutes(1));
  EXPECT_EQ(table.size(), 0u);
}

TEST(AttemptTable, MovesAreForgottenSooner) {
  AttemptTable table({.retention = absl::Minutes(5), .move_retention = absl::Seconds(30)});
  bool raised;
  const auto serve = [&](uint64_t stream, CallKind kind, MonoTime at) {
    ASSERT_TRUE(table.See({1, stream}, {1, 1}, kind, at, &raised).ok());
    table.Begin({1, stream}, {1, 1}, kind);
    table.End({1, stream}, {1, 1}, kind, false, at);
  };
  serve(1, CallKind::kShare, kStart);
  serve(2, CallKind::kFetch, kStart);
  serve(3, CallKind::kDecode, kStart);
  serve(4, CallKind::kFetch, kStart);
  serve(4, CallKind::kPrefill, kStart + absl::Seconds(10));  // a stream's then
  serve(5, CallKind::kDecode, kStart);
  serve(5, CallKind::kShare, kStart + absl::Seconds(10));
  table.Expire(kStart + absl::Seconds(29));
  EXPECT_EQ(table.size(), 5u);
  table.Expire(kStart + absl::Seconds(30));
  EXPECT_EQ(table.size(), 3u);
  EXPECT_FALSE(table.Knows({1, 1}) || table.Knows({1, 2}));
  table.Expire(kStart + absl::Minutes(5));
  EXPECT_EQ(table.size(), 2u);
  table.Expire(kStart + absl::Minutes(5) + absl::Seconds(10));
  EXPECT_EQ(table.size(), 0u);
}

TEST(AttemptTable, ForgetsOnlyWhatIsOverAndOld) {
  AttemptTable table({.retention = absl::Minutes(1), .max_streams = 2});
  bool raised;
  ASSERT_TRUE(table.See({1, 1}, {1, 1}, CallKind::kDecode, kStart, &raised).ok());
  table.Begin({1, 1}, {1, 1}, CallKind::kDecode);
  ASSERT_TRUE(table.See({1, 2}, {1, 1}, CallKind::kDecode, kStart, &raised).ok());
  const MonoTime soon = kStart + absl::Seconds(30), later = kStart + absl::Seconds(61);
  EXPECT_TRUE(absl::IsResourceExhausted(table.See({1, 3}, {1, 1}, CallKind::kDecode, soon, &raised)));
  EXPECT_TRUE(table.See({1, 3}, {1, 1}, CallKind::kDecode, later, &raised).ok());
  EXPECT_TRUE(absl::IsAborted(table.See({1, 1}, {1, 1}, CallKind::kDecode, later, &raised)));
  table.End({1, 1}, {1, 1}, CallKind::kDecode, false, later);
  table.Expire(later + absl::Minutes(2));
  EXPECT_EQ(table.size(), 0u);
}

}  // namespace
}  // namespace baton
