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
