// Running streams that move to another worker: by an operator, by a drain, and when that fails.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/integration/router/router_fixture.h"

namespace baton::router::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kExhausted = 8;  // gRPC's RESOURCE_EXHAUSTED
constexpr char kPath[] = "/baton/migrate";
constexpr char kRequest[] = R"({"prompt":"some words to be moved about","max_tokens":300,"ignore_eos":true,
  "return_token_ids":true,"cache_salt":"a tenant"})";

FakePlan Slow() {
  FakePlan plan{.tokens = {}, .token_delay = absl::Milliseconds(4)};
  for (int i = 0; i < 300; ++i) plan.tokens.push_back(60 + i % 17);
  return plan;
}

class MovesTest : public RouterFixture {
 protected:
  void Begin() {
    StartRouter();
    client_ = std::make_unique<TestClient>(port());
    ASSERT_TRUE(client_->Send(PostBytes("/v1/completions", kRequest)));
    ASSERT_TRUE(Eventually([&] { return Streams().find(R"("movable":true)") != std::string::npos; }));
    const std::string streams = Streams();
    id_ = streams.substr(streams.find(R"("id":")") + 6, 32);
  }
  std::string Streams() { return TestClient(port()).Get("/baton/streams").body; }
  TestResponse Migrate(const std::string& to) {
    return TestClient(port()).Post(kPath, absl::StrCat(R"({"stream":")", id_, R"(","to":")", to, R"("})"));
  }
  // The tokens of the answer, whoever decoded them.
  void ExpectWholeAnswer() {
    const TestResponse response = client_->Receive();
    EXPECT_EQ(response.status, 200);
    std::string expected;
    for (const int32_t token : Slow().tokens) absl::StrAppend(&expected, expected.empty() ? "" : ",", token);
    EXPECT_THAT(response.body, HasSubstr(absl::StrCat("[", expected, "]")));
  }

  FakeWorker& At() { return workers_[0]->decodes().empty() ? *workers_[1] : *workers_[0]; }
  FakeWorker& Other() { return workers_[0]->decodes().empty() ? *workers_[0] : *workers_[1]; }

  std::unique_ptr<TestClient> client_;
  std::string id_;
};

TEST_F(MovesTest, AnOperatorMovesAStream) {
  AddDecode(Slow());
  AddDecode(Slow());
  Begin();
  FakeWorker& source = At();
  FakeWorker& target = Other();
  const TestResponse moved = Migrate(target.endpoint());
  EXPECT_EQ(moved.status, 200) << moved.body;
  EXPECT_THAT(moved.body, HasSubstr(R"("ms":)"));
  ASSERT_EQ(target.decodes().size(), 1u);
  const v1::GenerateSpec spec = target.decodes()[0].spec();
  EXPECT_EQ(spec.attempt().n(), 2u);
  EXPECT_FALSE(target.decodes()[0].has_source());
  EXPECT_GT(spec.tokens_size(), static_cast<int>(spec.prompt_tokens()));
  ASSERT_GE(source.shares().size(), 1u);
  const v1::PrefixMove share = source.shares()[0].move();
  const v1::PrefixMove fetch = target.fetches()[0].move();
  EXPECT_EQ(fetch.tokens_size(), share.tokens_size() / 16 * 16);
  EXPECT_EQ(fetch.id().hi(), share.id().hi());
  EXPECT_NE(share.id().hi(), spec.stream().hi());
  EXPECT_NE(spec.cache_salt().lo(), 0u);
  EXPECT_EQ(share.cache_salt().lo(), spec.cache_salt().lo());
  EXPECT_EQ(fetch.cache_salt().lo(), spec.cache_salt().lo());
  EXPECT_TRUE(source.WaitForCancelled(1));
  ExpectWholeAnswer();
}

TEST_F(MovesTest, ADrainingWorkersStreamsMoveAway) {
  AddDecode(Slow());
  AddDecode(Slow());
  Begin();
  FakeWorker& source = At();
  FakeWorker& target = Other();
  source.SetDraining(true);
  EXPECT_TRUE(target.WaitForDecodes(1));
  EXPECT_TRUE(source.WaitForCancelled(1));
  ExpectWholeAnswer();
}

TEST_F(MovesTest, AMoveThatFailsLeavesTheStreamWhereItIs) {
  FakePlan deaf = Slow();
  deaf.share_code = deaf.fetch_code = kExhausted;
  AddDecode(deaf);
  AddDecode(deaf);
  Begin();
  FakeWorker& source = At();
  const TestResponse failed = Migrate(Other().endpoint());
  EXPECT_EQ(failed.status, 503);
  EXPECT_THAT(failed.body, HasSubstr("at the source: refused as planned"));
  source.SetPlan(Slow());
  EXPECT_THAT(Migrate(Other().endpoint()).body, HasSubstr("at the target: refused as planned"));
  EXPECT_TRUE(Other().decodes().empty());
  ExpectWholeAnswer();
  EXPECT_EQ(source.cancelled(), 0);
}

TEST_F(MovesTest, ASourceThatDiesWhileItsStreamMovesIsNoLoss) {
  AddDecode(Slow());
  AddDecode(Slow());
  Begin();
  FakeWorker& target = Other();
  FakePlan silent = Slow();
  silent.accept = false;
  target.SetPlan(silent);
  TestClient operator_client(port());
  operator_client.Send(
      PostBytes(kPath, absl::StrCat(R"({"stream":")", id_, R"(","to":")", target.endpoint(), R"("})")));
  EXPECT_TRUE(target.WaitForDecodes(1));
  target.SetPlan(Slow());
  const TestResponse gone = Migrate(target.endpoint());
  EXPECT_EQ(gone.status, 409);
  EXPECT_THAT(gone.body, HasSubstr("being moved already"));
  client_->Close();
  EXPECT_EQ(operator_client.Receive().status, 503);  // the stream is over
}

TEST_F(MovesTest, ImpossibleMovesAreRefusedInWords) {
  AddDecode(Slow());
  AddDecode(Slow(), "another fingerprint");
  AddPrefill(Slow());
  Begin();
  const auto expect = [&](const TestResponse& response, int status, const std::string& words) {
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_THAT(response.body, HasSubstr(words));
  };
  expect(Migrate(Other().endpoint()), 409, "computes other numbers");
  expect(Migrate(At().endpoint()), 409, "at that rank already");
  expect(Migrate(absl::StrCat(Other().endpoint(), "/3")), 409, "has no rank 3");
  expect(Migrate(absl::StrCat(At().endpoint(), "/x")), 400, "rank's number");
  expect(Migrate(workers_[2]->endpoint()), 409, "does not decode");
  expect(Migrate("nobody"), 404, "no worker is called 'nobody'");
  id_ = std::string(32, 'a');
  expect(Migrate(Other().endpoint()), 404, "no such stream");
  id_ = "short";
  expect(Migrate("nobody"), 400, "32 hexadecimal digits");
  for (const char* body : {"", "[]", "{", R"({"stream":7})", R"({"to":{}})"}) {
    EXPECT_EQ(TestClient(port()).Post(kPath, body).status, 400) << body;
  }
  EXPECT_EQ(TestClient(port()).Get(kPath).status, 405);
}

}  // namespace
}  // namespace baton::router::testing
