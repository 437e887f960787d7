#include "tools/ctl/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/ctl/files.h"
#include "tools/ctl/restart_policy.h"

namespace baton::ctl {
namespace {

TEST(ProcessTest, StartTimeIsReadPastAnyName) {
  const std::string rest = " S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 100 200";
  EXPECT_EQ(ParseStartTime("7 (plain)" + rest), 4242);
  EXPECT_EQ(ParseStartTime("7 (a) b (c) Z 1)" + rest), 4242);
  EXPECT_EQ(ParseStartTime("7 (dead) Z 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 100"), 0);
  EXPECT_EQ(ParseStartTime("7 (short) S 1"), 0);
  EXPECT_EQ(ParseStartTime(""), 0);
}

TEST(ProcessTest, APidWithAnotherStartTimeIsAnotherProcess) {
  const ProcessId self{getpid(), StartTimeOf(getpid())};
  EXPECT_TRUE(IsAlive(self));
  EXPECT_FALSE(IsAlive({self.pid, self.start_time + 1}));
  EXPECT_FALSE(IsAlive({}));
}

TEST(ProcessTest, SpawnsWritesItsLogAndDescribesItsEnd) {
  const std::string log = testing::TempDir() + "/spawn_" + std::to_string(getpid());
  const auto process = Spawn({{"/bin/sh", "-c", "echo said; exit 3"}, log});
  ASSERT_TRUE(process.ok());
  int status = 0;
  ASSERT_EQ(waitpid(process->pid, &status, 0), process->pid);
  EXPECT_EQ(DescribeExit(status), "exited with 3");
  EXPECT_EQ(*ReadFile(log), "said\n");
  EXPECT_FALSE(IsAlive(*process));
  unlink(log.c_str());
}

TEST(ProcessTest, SignalsReachTheChildWhateverTheParentBlocks) {
  BlockSignals({SIGTERM});
  const auto process = Spawn({{"/bin/sleep", "60"}, "/dev/null"});
  ASSERT_TRUE(process.ok());
  EXPECT_TRUE(IsAlive(*process));
  Signal(*process, SIGTERM);
  int status = 0;
  ASSERT_EQ(waitpid(process->pid, &status, 0), process->pid);
  EXPECT_EQ(DescribeExit(status), "was killed by signal 15 (Terminated)");
}

TEST(ProcessTest, AMissingBinaryIsAnError) {
  EXPECT_EQ(Spawn({{"no/such/binary"}, "/dev/null"}).status().code(), absl::StatusCode::kNotFound);
}

TEST(RestartPolicyTest, BacksOffForgetsAndGivesUp) {
  ManualClock clock;
  RestartPolicy policy;
  const auto dies_after = [&](absl::Duration life) {
    policy.OnStart(clock.Now());
    clock.Advance(life);
    return policy.OnDeath(clock.Now());
  };
  EXPECT_EQ(dies_after(absl::Seconds(6)), absl::Milliseconds(200));
  EXPECT_EQ(dies_after(absl::Seconds(6)), absl::Milliseconds(400));
  for (int i = 0; i < 10; ++i) dies_after(absl::Seconds(6));
  EXPECT_EQ(dies_after(absl::Seconds(6)), absl::Seconds(10));
  EXPECT_EQ(dies_after(absl::Seconds(60)), absl::Milliseconds(200));
  for (int i = 0; i < 4; ++i) EXPECT_NE(dies_after(absl::Seconds(1)), std::nullopt);
  EXPECT_EQ(dies_after(absl::Seconds(1)), std::nullopt);
}

TEST(FilesTest, LastLinesAndTails) {
  const std::string path = testing::TempDir() + "/tail_" + std::to_string(getpid());
  EXPECT_TRUE(LastLines(path, 3).empty());
  ASSERT_TRUE(WriteFileAtomically(path, "1\n2\n3\n").ok());
  EXPECT_EQ(LastLines(path, 2), (std::vector<std::string>{"2", "3"}));
  FileTail tail(path, FileSize(path));
  EXPECT_EQ(tail.ReadNew(), "");
  ASSERT_TRUE(WriteFileAtomically(path, "1\n2\n3\n4\n").ok());
  EXPECT_EQ(tail.ReadNew(), "4\n");
  ASSERT_TRUE(WriteFileAtomically(path, "new\n").ok());
  EXPECT_EQ(tail.ReadNew(), "new\n");
  unlink(path.c_str());
}

}  // namespace
}  // namespace baton::ctl
