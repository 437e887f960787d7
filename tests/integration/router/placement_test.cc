// Placement by what workers tell of their caches, over real workers and two routers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "tests/integration/router/paced_cluster.h"

namespace baton::router::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kBody[] =
    R"({"prompt":"a prompt of some length, so that it fills several blocks of sixteen tokens, and is )"
    R"(computed by a prefill worker. The second router has never seen it.","max_tokens":4,"temperature":0})";

TEST(PlacementOverWatch, ARouterKnowsWhatAnotherHadComputed) {
  PacedCluster cluster;
  cluster.pace.Open();
  const auto status = [&](int router) { return TestClient(cluster.port(router)).Get("/baton/status").body; };
  EXPECT_THAT(status(1), HasSubstr(R"("index":{"pairs":0,)"));
  EXPECT_EQ(TestClient(cluster.port(0)).Post("/v1/completions", kBody).status, 200);
  EXPECT_TRUE(Eventually([&] { return !absl::StrContains(status(1), R"("index":{"pairs":0,)"); }));
  EXPECT_THAT(status(1), HasSubstr(R"("placed":0,)"));
  EXPECT_EQ(TestClient(cluster.port(1)).Post("/v1/completions", kBody).status, 200);
  EXPECT_THAT(status(1), HasSubstr(R"("placed":1,)"));
  EXPECT_THAT(status(1), Not(HasSubstr(R"("best_held_tokens":0,)")));
  EXPECT_THAT(TestClient(cluster.port(1)).Get("/metrics").body, HasSubstr("baton_router_index_pairs"));
}

}  // namespace
}  // namespace baton::router::testing
