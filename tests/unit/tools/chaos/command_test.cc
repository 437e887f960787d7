#include "tools/chaos/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace baton::chaos {
namespace {

using ::testing::HasSubstr;

TEST(CommandTest, GivesWhatWasWritten) {
  EXPECT_EQ(*RunCommand({{"printf", "a b"}}), "a b");
  EXPECT_EQ(*RunCommand({{"true"}}), "");
}

TEST(CommandTest, FeedsStdin) {
  const std::string much(1 << 20, 'x');
  EXPECT_EQ(*RunCommand({{"cat"}, much}), much);
  EXPECT_TRUE(RunCommand({{"true"}, much}).ok()) << "one that does not read it is no harm";
}

TEST(CommandTest, AFailureTellsItsLastWords) {
  const absl::Status status = RunCommand({{"sh", "-c", "echo no room >&2; exit 3"}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("exited with 3: no room"));
}

TEST(CommandTest, AProgramThatIsNotThereIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(RunCommand({{"no-such-program-of-baton"}}).status()));
}

TEST(CommandTest, OneThatTakesTooLongIsKilled) {
  const auto ended = RunCommand({{"sh", "-c", "sleep 60"}}, absl::Milliseconds(200));
  EXPECT_TRUE(absl::IsDeadlineExceeded(ended.status())) << ended.status();
}

TEST(CommandTest, ShellTextIsQuoted) {
  EXPECT_EQ(ToShell({{"podman", "kill", "-s", "KILL", "a_b-1"}}), "podman kill -s KILL a_b-1");
  EXPECT_EQ(ToShell({{"sh", "-c", "it's $x", ""}}), R"(sh -c 'it'\''s $x' '')");
  EXPECT_EQ(ToShell({{"kubectl", "apply", "-f", "-"}, "a: b"}), "kubectl apply -f - <<'END'\na: b\nEND");
}

}  // namespace
}  // namespace baton::chaos
