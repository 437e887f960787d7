#include "tools/chaos/local_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "tools/chaos/disk.h"

namespace baton::chaos {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class LocalPlanTest : public ::testing::Test {
 protected:
  LocalPlanTest() : place_{ctl::ClusterFolder(testing::TempDir() + "/cluster")} {
    paths_.bin_dir = testing::TempDir() + "/bin";
    mkdir(paths_.bin_dir.c_str(), 0700);
    for (const char* name : {"baton-router", "baton-prefill", "baton-decode", "baton-kv", "other"}) {
      const std::string path = paths_.bin_dir + "/" + name;
      std::ofstream(path) << "#!";
      chmod(path.c_str(), 0700);
    }
    paths_.default_model = paths_.tiny_model = paths_.bin_dir + "/other";
    paths_.slow_disk = "slow.so";
  }
  std::vector<std::string> CommandOf(const std::string& name) {
    const auto plans = PlanLocally(cluster_, paths_, place_, 4);
    EXPECT_TRUE(plans.ok()) << plans.status();
    for (const ctl::ProcessPlan& plan : *plans) {
      if (plan.name == name) return plan.command;
    }
    ADD_FAILURE() << "no " << name;
    return {};
  }
  LocalPaths paths_;
  LocalPlace place_;
  ClusterShape cluster_;
};

TEST_F(LocalPlanTest, IsThatOfUpWhereNothingIsSpecial) {
  cluster_.worker_flags = {"--pages=64"};
  cluster_.ranks = 2;
  const auto decode = CommandOf("decode-1");
  EXPECT_EQ(decode[0], paths_.bin_dir + "/baton-decode");
  EXPECT_THAT(decode, Contains("--pages=64"));
  EXPECT_THAT(decode, Contains("--ranks=2"));
  EXPECT_THAT(decode, Contains("--threads=1"));
  EXPECT_THAT(CommandOf("router"), Contains("--listen=127.0.0.1:0"));
}

TEST_F(LocalPlanTest, OtherProgramsForOneProcessOrARole) {
  cluster_.programs = {{"decode-1", "other"}, {"prefill", paths_.bin_dir + "/other"}};
  EXPECT_EQ(CommandOf("decode-0")[0], paths_.bin_dir + "/baton-decode");
  EXPECT_EQ(CommandOf("decode-1")[0], paths_.bin_dir + "/other");
  EXPECT_EQ(CommandOf("prefill-0")[0], paths_.bin_dir + "/other");
  cluster_.programs = {{"decode-1", "none"}};
  EXPECT_THAT(PlanLocally(cluster_, paths_, place_, 4).status().message(),
              HasSubstr("decode-1: there is no program"));
}

TEST_F(LocalPlanTest, InNetworksOfTheirOwnTheyListenThere) {
  cluster_.kv_pool_mb = 8;
  for (const char* name : {"router", "kv", "prefill-0", "decode-0", "decode-1"}) {
    place_.addresses[name] = absl::StrCat("10.7.1.", place_.addresses.size() + 2);
    place_.enter_by[name] = {"enter", name};
  }
  const auto router = CommandOf("router");
  EXPECT_THAT(std::vector<std::string>(router.begin(), router.begin() + 2), ElementsAre("enter", "router"));
  EXPECT_THAT(router, Contains("--listen=10.7.1.2:8000"));
  EXPECT_THAT(CommandOf("kv"), Contains("--grpc_listen=10.7.1.3:7100"));
  EXPECT_THAT(CommandOf("prefill-0"), Contains("--kv_pool=10.7.1.3:7100"));
  EXPECT_THAT(CommandOf("decode-1"), Contains("--kv_listen=tcp://10.7.1.6:0"));
  EXPECT_THAT(CommandOf("decode-1"), Not(Contains(HasSubstr("127.0.0.1"))));
}

TEST_F(LocalPlanTest, TheDiskTierGetsItsFolderAndTheSlowLibrary) {
  cluster_.kv_pool_mb = cluster_.kv_disk_mb = 8;
  place_.disk_dir = "disk";
  place_.disk_control = "disk.slow";
  cluster_.pool_flags = {"--kv_min_gbps=1"};
  const auto kv = CommandOf("kv");
  EXPECT_THAT(kv, Contains("--disk_dir=disk"));
  EXPECT_THAT(kv, Contains("--kv_min_gbps=1"));
  EXPECT_THAT(std::vector<std::string>(kv.begin(), kv.begin() + 3),
              ElementsAre("/usr/bin/env", "LD_PRELOAD=slow.so", "BATON_SLOW_DISK=disk.slow"));
}

TEST_F(LocalPlanTest, AModelThatIsNotThereIsRefused) {
  cluster_.model = "none.gguf";
  EXPECT_THAT(PlanLocally(cluster_, paths_, place_, 4).status().message(),
              HasSubstr("cannot read the model 'none.gguf'"));
}

TEST(DiskTest, AFullDiskTakesNothingMoreUntilItIsHealed) {
  const auto disk = Disk::Make(testing::TempDir() + "/full_disk_test", 1);
  ASSERT_TRUE(disk.ok()) << disk.status();
  const absl::Status filled = (*disk)->Set({.full = true});
  if (!filled.ok()) GTEST_SKIP() << filled.message();
  const std::string path = (*disk)->folder() + "/one";
  const std::string much(1 << 20, 'x');
  std::ofstream refused(path);
  refused << much << std::flush;
  EXPECT_FALSE(refused.good());
  ASSERT_TRUE((*disk)->Set({}).ok());
  std::ofstream taken(path);
  taken << much << std::flush;
  EXPECT_TRUE(taken.good());
}

}  // namespace
}  // namespace baton::chaos
