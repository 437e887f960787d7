// Streams that outlive their router: two routers over real workers whose model goes step by step.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/integration/router/paced_cluster.h"
#include "tests/integration/router/sse_text.h"

namespace baton::router::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kLong[] =
    R"("prompt":"a prompt that is long enough to be computed by a prefill worker, and then some more of it")";
constexpr char kMore[] =
    R"(,"max_tokens":40,"temperature":0.9,"seed":5,"stream":true,"return_token_ids":true)";

class ResumeTest : public ::testing::Test {
 protected:
  static std::string Body(const std::string& prompt, const std::string& more = "") {
    return absl::StrCat("{", prompt, kMore, more, "}");
  }
  SseText Whole(const std::string& path, const std::string& body) {
    cluster_.pace.Open();
    SseText whole;
    whole.Add(TestClient(cluster_.port(0)).Post(path, body).body);
    cluster_.pace.Close();
    EXPECT_TRUE(whole.done);
    return whole;
  }
  // What a client has when it has seen `events` events of an answer at the first router, which goes on.
  SseText Begin(TestClient& client, const std::string& path, const std::string& body, size_t events) {
    EXPECT_TRUE(client.Send(PostBytes(path, body)));
    SseText has;
    EXPECT_TRUE(Eventually([&] {
      cluster_.pace.Allow(1);
      client.ReceiveUntil("data: [DONE]", absl::Milliseconds(10));
      has = SseText();
      has.Add(client.unread(), events);
      return has.ids.size() >= events;
    }));
    return has;
  }
  TestResponse Resume(int router, const std::string& path, const std::string& id) {
    return TestClient(cluster_.port(router)).Post(path, "{}", absl::StrCat("Last-Event-ID: ", id, "\r\n"));
  }

  PacedCluster cluster_;
};

TEST_F(ResumeTest, AnotherRouterTakesTheRunningStreamOver) {
  const std::string path = "/v1/completions";
  for (const std::string& body : {Body(kLong, R"(,"logprobs":2,"stream_options":{"include_usage":true})"),
                                  Body(R"("prompt":"short")", R"(,"n":3,"stop":["zq"])")}) {
    const SseText whole = Whole(path, body);
    TestClient client(cluster_.port(0));
    SseText has = Begin(client, path, body, 9);
    const uint64_t before = cluster_.Resumed();
    std::thread opener([&] {
      EXPECT_TRUE(Eventually([&] { return cluster_.Resumed() > before; }));
      cluster_.pace.Open();
    });
    const TestResponse rest = Resume(1, path, has.ids.back());
    opener.join();
    cluster_.pace.Close();
    EXPECT_EQ(rest.status, 200) << rest.body;
    has.Add(rest.body);
    EXPECT_EQ(has, whole);
    const TestResponse loser = client.Receive();
    EXPECT_TRUE(loser.closed && !loser.complete) << "superseded: it ends without a word";
    EXPECT_THAT(loser.body, ::testing::Not(HasSubstr("error")));
  }
  EXPECT_TRUE(cluster_.AtRest());
}

TEST_F(ResumeTest, AClientThatLeftComesBackAnywhere) {
  const std::string path = "/v1/chat/completions";
  const std::string body =
      Body(R"("messages":[{"role":"user","content":"tell me"}])",
           R"(,"logprobs":true,"top_logprobs":1,"stream_options":{"include_usage":true})");
  const SseText whole = Whole(path, body);
  for (int router : {0, 1}) {
    SseText has;
    {
      TestClient client(cluster_.port(0));
      has = Begin(client, path, body, 5);
    }
    EXPECT_TRUE(cluster_.AtRest()) << "what nobody reads is not gone on with";
    cluster_.pace.Open();
    has.Add(Resume(router, path, has.ids.back()).body);
    cluster_.pace.Close();
    EXPECT_EQ(has, whole);
  }
}

TEST_F(ResumeTest, AFinishedAnswersRestIsTold) {
  const std::string path = "/v1/completions";
  const std::string body = Body(kLong, R"(,"stream_options":{"include_usage":true})");
  cluster_.pace.Open();
  const std::string raw = TestClient(cluster_.port(0)).Post(path, body).body;
  cluster_.pace.Close();
  SseText whole;
  whole.Add(raw);
  ASSERT_TRUE(whole.done);
  for (const size_t events : {size_t{1}, size_t{20}, whole.ids.size() - 1, whole.ids.size()}) {
    SseText has;
    has.Add(raw, events);
    const TestResponse rest = TestClient(cluster_.port(1)).Get(absl::StrCat("/v1/streams/", has.ids.back()));
    EXPECT_EQ(rest.status, 200) << rest.body;
    has.Add(rest.body);
    EXPECT_EQ(has, whole) << events;
  }
}

TEST_F(ResumeTest, OfTwoThatComeBackAtOnceOneIsServed) {
  const std::string path = "/v1/completions", body = Body(kLong);
  const SseText whole = Whole(path, body);
  TestClient client(cluster_.port(0));
  const SseText has = Begin(client, path, body, 4);
  TestResponse rests[2];
  std::thread both[2];
  for (int i = 0; i < 2; ++i) {
    both[i] = std::thread([&, i] { rests[i] = Resume(i, path, has.ids.back()); });
  }
  EXPECT_TRUE(Eventually([&] { return cluster_.Resumed() + cluster_.Superseded() >= 2; }));
  cluster_.pace.Open();
  for (std::thread& one : both) one.join();
  int served = 0;
  for (const TestResponse& rest : rests) {
    if (!rest.complete) continue;
    ++served;
    SseText all = has;
    all.Add(rest.body);
    EXPECT_EQ(all, whole);
  }
  EXPECT_EQ(served, 1);
  EXPECT_TRUE(cluster_.AtRest());
}

TEST_F(ResumeTest, WhatNobodyKnowsIsNotFound) {
  for (const char* id : {"", "x", "AAAA", "AQEAAAAAAAAAAgAAAAAAAAABAAAAAAEAAAAAAAAAAA"}) {
    TestClient client(cluster_.port(0));
    const TestResponse response = client.Get(absl::StrCat("/v1/streams/", id));
    EXPECT_EQ(response.status, 404) << id;
    EXPECT_THAT(response.body, HasSubstr("stream_not_found"));
  }
  const TestResponse whole =
      TestClient(cluster_.port(0))
          .Post("/v1/completions", R"({"prompt":"a","max_tokens":0})", "Last-Event-ID: a\r\n");
  EXPECT_EQ(whole.status, 404);
}

}  // namespace
}  // namespace baton::router::testing
