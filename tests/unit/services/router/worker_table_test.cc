#include "services/router/policy/worker_table.h"

#include <gtest/gtest.h>

namespace baton::router {
namespace {

const MonoTime kStart = absl::UnixEpoch();
const std::string kHost = "10.0.0.1:9000";

WorkerReport Report(uint64_t number, Epoch epoch = {1, 1}) {
  return {.epoch = epoch,
          .number = number,
          .facts = {.name = "d0", .fingerprint = "f", .page_tokens = 16},
          .role = WorkerRole::kDecode,
          .ranks = {{.rank = 0, .running = 2, .pages = {.free = 5, .used = 3, .cached = 2}}}};
}

class WorkerTableTest : public ::testing::Test {
 protected:
  WorkerTableTest() { table_.AddEndpoint(kHost); }
  WorkerTable table_{{.silence_timeout = absl::Seconds(1)}};
};

TEST_F(WorkerTableTest, SnapshotThenDeltas) {
  EXPECT_TRUE(table_.Ranks().empty());
  EXPECT_FALSE(table_.CanDecode());
  ASSERT_TRUE(table_.Report(kHost, Report(0), kStart).ok());
  ASSERT_TRUE(table_.Report(kHost, Report(1), kStart).ok());
  ASSERT_EQ(table_.Ranks().size(), 1u);
  const RankView rank = table_.Ranks()[0];
  EXPECT_EQ(rank.running, 2u);
  EXPECT_EQ(rank.free_pages, 7u) << "cached pages can be evicted";
  EXPECT_EQ(rank.total_pages, 10u);
  EXPECT_EQ(rank.fingerprint, "f");
  EXPECT_TRUE(rank.healthy);
  EXPECT_TRUE(table_.CanDecode());
  EXPECT_EQ(table_.EndpointOf(rank.ref.worker), kHost);
}

TEST_F(WorkerTableTest, GapsRepeatsAndUnknownsNeedASnapshot) {
  EXPECT_FALSE(table_.Report("elsewhere:1", Report(0), kStart).ok());
  EXPECT_FALSE(table_.Report(kHost, Report(1), kStart).ok()) << "no snapshot yet";
  ASSERT_TRUE(table_.Report(kHost, Report(0), kStart).ok());
  EXPECT_FALSE(table_.Report(kHost, Report(2), kStart).ok()) << "gap";
  EXPECT_FALSE(table_.CanDecode());
  EXPECT_FALSE(table_.Report(kHost, Report(1), kStart).ok()) << "still needs a snapshot";
  ASSERT_TRUE(table_.Report(kHost, Report(0), kStart).ok());
  EXPECT_FALSE(table_.Report(kHost, Report(1, {9, 9}), kStart).ok()) << "another epoch";
}

TEST_F(WorkerTableTest, ANewEpochIsANewWorker) {
  ASSERT_TRUE(table_.Report(kHost, Report(0), kStart).ok());
  const uint64_t old_worker = table_.Ranks()[0].ref.worker;
  ASSERT_TRUE(table_.Report(kHost, Report(0), kStart).ok());
  EXPECT_EQ(table_.Ranks()[0].ref.worker, old_worker) << "a snapshot of the same life";
  table_.Charge({old_worker, 0}, 1, 10);
  ASSERT_TRUE(table_.Report(kHost, Report(0, {2, 2}), kStart).ok());
  EXPECT_NE(table_.Ranks()[0].ref.worker, old_worker);
  EXPECT_EQ(table_.Ranks()[0].own_streams, 0u);
  EXPECT_EQ(table_.Find(old_worker), nullptr);
  EXPECT_EQ(table_.EndpointOf(old_worker), "");
  table_.Discharge({old_worker, 0}, 1, 10);
}

TEST_F(WorkerTableTest, SilenceMakesSuspectAndDisconnectUnusable) {
  ASSERT_TRUE(table_.Report(kHost, Report(0), kStart).ok());
  EXPECT_FALSE(table_.Tick(kStart + absl::Seconds(1)));
  EXPECT_TRUE(table_.Tick(kStart + absl::Seconds(2)));
  EXPECT_FALSE(table_.Tick(kStart + absl::Seconds(3))) << "said once";
  EXPECT_TRUE(table_.Ranks()[0].suspect);
  ASSERT_TRUE(table_.Report(kHost, Report(1), kStart + absl::Seconds(4)).ok());
  EXPECT_FALSE(table_.Ranks()[0].suspect);
  table_.Disconnected(kHost);
  EXPECT_FALSE(table_.Ranks()[0].healthy);
  EXPECT_FALSE(table_.CanDecode());
}

TEST_F(WorkerTableTest, FailedCallsMakeSuspectUntilOneWorksOrThePauseIsOver) {
  ASSERT_TRUE(table_.Report(kHost, Report(0), kStart).ok());
  const uint64_t worker = table_.Ranks()[0].ref.worker;
  table_.CallFailed(worker, kStart);
  EXPECT_TRUE(table_.Ranks()[0].suspect);
  table_.CallWorked(worker);
  EXPECT_FALSE(table_.Ranks()[0].suspect);
  table_.CallFailed(worker, kStart);
  table_.Tick(kStart + absl::Milliseconds(250));
  EXPECT_FALSE(table_.Ranks()[0].suspect) << "half open";
  table_.Placed(worker, kStart + absl::Milliseconds(250));
  EXPECT_TRUE(table_.Ranks()[0].suspect) << "until the probe tells";
  table_.CallFailed(99, kStart);
  table_.CallWorked(99);
  table_.Placed(99, kStart);
}

TEST_F(WorkerTableTest, TellsOfStreamsOfSilentWorkersThatHaveAnHeir) {
  ASSERT_TRUE(table_.Report(kHost, Report(0), kStart).ok());
  const RankRef ref = table_.Ranks()[0].ref;
  table_.Tick(kStart + absl::Seconds(2));
  table_.Charge(ref, 1, 10);
  EXPECT_TRUE(table_.SilentWithStreams().empty()) << "nobody else decodes";
  table_.AddEndpoint("other:1");
  WorkerReport other = Report(0);
  other.epoch = {77, 77};
  ASSERT_TRUE(table_.Report("other:1", other, kStart + absl::Seconds(2)).ok());
  EXPECT_EQ(table_.SilentWithStreams(), std::vector<uint64_t>{ref.worker});
  table_.Discharge(ref, 1, 10);
  EXPECT_TRUE(table_.SilentWithStreams().empty());
}

TEST_F(WorkerTableTest, OwnLoadIsFreshUntilTheNextReport) {
  ASSERT_TRUE(table_.Report(kHost, Report(0), kStart).ok());
  const RankRef ref = table_.Ranks()[0].ref;
  table_.Charge(ref, 1, 100);
  table_.Charge(ref, 1, 50);
  EXPECT_EQ(table_.Ranks()[0].Streams(), 4u);
  EXPECT_EQ(table_.Ranks()[0].Backlog(), 150u);
  ASSERT_TRUE(table_.Report(kHost, Report(1), kStart).ok());
  EXPECT_EQ(table_.Ranks()[0].Streams(), 2u) << "now in the report";
  EXPECT_EQ(table_.Ranks()[0].Backlog(), 150u) << "own work is never counted as less";
  table_.Discharge(ref, 0, 100);
  table_.Discharge(ref, 1, 50);
  EXPECT_EQ(table_.Ranks()[0].own_streams, 1u);
  EXPECT_EQ(table_.Ranks()[0].own_tokens, 0u);
  EXPECT_EQ(table_.Ranks()[0].placed, 2u);
}

TEST_F(WorkerTableTest, RemovedEndpointsAreForgotten) {
  ASSERT_TRUE(table_.Report(kHost, Report(0), kStart).ok());
  table_.RemoveEndpoint(kHost);
  table_.RemoveEndpoint(kHost);
  EXPECT_TRUE(table_.Ranks().empty());
  table_.Disconnected(kHost);
  EXPECT_FALSE(table_.Report(kHost, Report(1), kStart).ok());
}

}  // namespace
}  // namespace baton::router
