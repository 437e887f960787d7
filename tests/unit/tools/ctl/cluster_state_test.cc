#include "tools/ctl/cluster_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/ctl/supervisor.h"

namespace baton::ctl {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

ClusterSpec SomeSpec() {
  ClusterSpec spec;
  spec.name = "n";
  spec.model = "some/model \"quoted\".gguf";
  spec.bin_dir = "bin";
  spec.host = "0.0.0.0";
  spec.port = 0;
  spec.prefill = 1;
  spec.decode = 2;
  spec.ranks = 3;
  spec.threads = 4;
  spec.kv_disk_mb = 128;
  spec.kv_disk_dir = "some/cache";
  spec.worker_flags = {"--pages=5"};
  return spec;
}

TEST(ClusterStateTest, ASpecComesBackAsItWas) {
  const auto back = ParseSpec(ToJson(SomeSpec()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(ToJson(*back), ToJson(SomeSpec()));
  EXPECT_EQ(back->model, SomeSpec().model);
  EXPECT_EQ(back->worker_flags, SomeSpec().worker_flags);
}

TEST(ClusterStateTest, ARecordComesBackAsItWas) {
  ClusterRecord record{{12, 3456789012345},
                       {{"router", "router", {13, 99}, 2, "running", "exited with 1", "", "h:1"}}};
  const auto back = ParseRecord(ToJson(record));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->supervisor, record.supervisor);
  ASSERT_EQ(back->processes.size(), 1);
  EXPECT_EQ(back->processes[0].id, record.processes[0].id);
  EXPECT_EQ(ToJson(*back), ToJson(record));
}

TEST(ClusterStateTest, DamagedFilesAreErrors) {
  const std::string whole =
      ToJson(ClusterRecord{{12, 34}, {{"router", "router", {13, 99}, 2, "running", "", "", "h:1"}}});
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(ParseRecord(whole.substr(0, size)).ok()) << size;
  for (const char* bad :
       {"[]", "{}", "null", "{\"supervisor\":{\"pid\":\"x\"}}", "{\"supervisor\":{\"pid\":-1e99}}"}) {
    EXPECT_EQ(ParseRecord(bad).status().code(), absl::StatusCode::kDataLoss) << bad;
    EXPECT_FALSE(ParseSpec(bad).ok()) << bad;
  }
}

TEST(ClusterStateTest, ReadsAddresses) {
  const auto both = ParseAddresses(R"({"grpc":"127.0.0.1:1","http":"127.0.0.1:2","kv":"tcp://127.0.0.1:3"})");
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(both->grpc, "127.0.0.1:1");
  EXPECT_EQ(both->http, "127.0.0.1:2");
  EXPECT_TRUE(ParseAddresses("{}").ok());
  EXPECT_FALSE(ParseAddresses("[1]").ok());
  EXPECT_FALSE(ParseAddresses(R"({"http":1})").ok());
}

TEST(ClusterStateTest, TheRoutersUrlIsReachableFromHere) {
  ClusterRecord record;
  EXPECT_FALSE(RouterUrl(record).ok());
  record.processes = {{"router", "router", {}, 0, "running", "", "", "0.0.0.0:8000"}};
  EXPECT_EQ(*RouterUrl(record), "http://127.0.0.1:8000");
  record.processes[0].http = "10.0.0.7:80";
  EXPECT_EQ(*RouterUrl(record), "http://10.0.0.7:80");
}

TEST(ClusterPlanTest, TheRouterFirstThenEveryWorkerWithItsOwnFiles) {
  const auto plans = PlanCluster(SomeSpec(), ClusterFolder("state"));
  ASSERT_EQ(plans.size(), 4);
  EXPECT_EQ(plans[0].name, "router");
  EXPECT_THAT(plans[0].command, Contains("--listen=0.0.0.0:0"));
  EXPECT_THAT(plans[0].command, Contains("--workers_file=state/workers"));
  EXPECT_THAT(plans[0].command, Not(Contains("--pages=5")));
  EXPECT_EQ(plans[1].name, "prefill-0");
  EXPECT_EQ(plans[1].command[0], "bin/baton-prefill");
  EXPECT_EQ(plans[3].name, "decode-1");
  for (const char* flag :
       {"--ranks=3", "--threads=4", "--pages=5", "--name=decode-1", "--address_file=state/decode-1.json"}) {
    EXPECT_THAT(plans[3].command, Contains(flag));
  }
}

TEST(ClusterPlanTest, AKvPoolOnASocketForPrefillWorkers) {
  ClusterSpec spec = SomeSpec();
  spec.kv_pool_mb = 64;
  const auto plans = PlanCluster(spec, ClusterFolder("state"));
  ASSERT_EQ(plans.size(), 5);
  EXPECT_EQ(plans[1].name, "kv");
  for (const char* flag : {"--grpc_listen=unix:state/kv.sock", "--memory_mb=64", "--disk_dir=some/cache",
                           "--disk_mb=128", "--kv_key=state/keys/kv.key"}) {
    EXPECT_THAT(plans[1].command, Contains(flag));
  }
  EXPECT_THAT(plans[2].command, Contains("--kv_pool=unix:state/kv.sock"));
  EXPECT_THAT(plans[3].command, Not(Contains("--kv_pool=unix:state/kv.sock")));
  spec.worker_flags = {"--kv_curve=false"};
  EXPECT_THAT(PlanCluster(spec, ClusterFolder("state"))[1].command, Contains("--kv_curve=false"));
}

TEST(ClusterPlanTest, EveryWorkerHasAKeyUnlessItsFlagsSayHowHandoffsAreGuarded) {
  const auto plans = PlanCluster(SomeSpec(), ClusterFolder("state"));
  EXPECT_THAT(plans.back().command, Contains("--kv_key=state/keys/" + plans.back().name + ".key"));
  EXPECT_THAT(plans[1].command, Contains("--kv_allowed_keys=state/keys/allowed"));
  ClusterSpec own = SomeSpec();
  own.worker_flags = {"--kv_curve=false"};
  EXPECT_THAT(PlanCluster(own, ClusterFolder("state")).back().command,
              Not(Contains("--kv_allowed_keys=state/keys/allowed")));
}

}  // namespace
}  // namespace baton::ctl
