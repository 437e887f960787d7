// Bounds: every one is reached, answered in OpenAI's form, and given back.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/integration/router/router_fixture.h"

namespace baton::router::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

FakePlan Hanging() {
  return {.tokens = {70, 71}, .hang_after = 1};
}

TEST_F(RouterFixture, ErrorsHaveOpenAiForm) {
  AddDecode(Says("k"));
  StartRouter();
  const auto post = [&](const std::string& body) {
    return TestClient(port()).Post("/v1/chat/completions", body);
  };
  EXPECT_THAT(post("{").body, HasSubstr(R"("code":"invalid_json")"));
  const TestResponse model = post(R"({"model":"gpt","messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(model.status, 404);
  EXPECT_THAT(model.body, HasSubstr(R"("code":"model_not_found")"));
  const TestResponse length = post(R"({"messages":[{"role":"user","content":"x"}],"max_tokens":100000000})");
  EXPECT_EQ(length.status, 400);
  EXPECT_THAT(length.body, HasSubstr("context_length_exceeded"));
  EXPECT_EQ(TestClient(port()).Get("/v1/chat/completions").status, 405);
  EXPECT_EQ(TestClient(port()).Get("/nothing").status, 404);
  TestClient client(port());
  client.Send("POST /v1/completions HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(client.Receive().status, 411);
  client.Send(
      "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}");
  EXPECT_EQ(client.Receive().status, 415);
}

TEST_F(RouterFixture, LongPromptIs400) {
  AddDecode(Says("k"));
  config_.max_prompt_tokens = 4;
  StartRouter();
  EXPECT_THAT(Complete(R"("prompt":[1,2,3,4,5])").body, HasSubstr("context_length_exceeded"));
  EXPECT_EQ(Complete(R"("prompt":[1,2,3,99999999])").status, 400);
  EXPECT_EQ(Complete(R"("prompt":"")").status, 400);
}

TEST_F(RouterFixture, HopelesslyLongTextIs400) {
  AddDecode(Says("k"));
  StartRouter();
  const std::string text(3 << 20, 'a');
  const TestResponse chat = TestClient(port()).Post(
      "/v1/chat/completions", absl::StrCat(R"({"messages":[{"role":"user","content":")", text, R"("}]})"));
  EXPECT_THAT(chat.body, AllOf(HasSubstr("context_length_exceeded"), HasSubstr("yours has more than")));
  const TestResponse completion = Complete(absl::StrCat(R"("prompt":")", text, R"(")"));
  EXPECT_THAT(completion.body, HasSubstr("yours has more than"));
}

TEST_F(RouterFixture, AnswersTooLargeToHoldAreRefused) {
  FakePlan flood{.tokens = {70, 71, 72}, .endless = true};
  FakeWorker& decode = AddDecode(flood);
  config_.max_answer_bytes = 2;
  StartRouter();
  const TestResponse response = Chat("");
  EXPECT_EQ(response.status, 400);
  EXPECT_THAT(response.body, HasSubstr("answer_too_large"));
  EXPECT_TRUE(decode.WaitForCancelled(1));
}

TEST_F(RouterFixture, TooManyStopTokensAre400) {
  AddDecode(Says("k"));
  StartRouter();
  std::string ids = "1";
  for (size_t i = 1; i < kMaxStopTokens; ++i) ids += ",1";
  EXPECT_EQ(Chat(absl::StrCat(R"(,"stop_token_ids":[)", ids, "]")).status, 400);
}

TEST_F(RouterFixture, IgnoringEosKeepsTheClientsOwnStopTokens) {
  FakeWorker& decode = AddDecode(Says("k"));
  StartRouter();
  EXPECT_EQ(Chat(R"(,"ignore_eos":true,"stop_token_ids":[5])").status, 200);
  EXPECT_EQ(Chat(R"(,"ignore_eos":true)").status, 200);
  const auto decodes = decode.decodes();
  ASSERT_EQ(decodes.size(), 2u);
  EXPECT_FALSE(decodes[0].spec().ignore_eos());
  EXPECT_EQ(decodes[0].spec().stop_tokens_size(), 1);
  EXPECT_TRUE(decodes[1].spec().ignore_eos());
}

TEST_F(RouterFixture, BodyAndHeaderLimits) {
  AddDecode(Says("k"));
  config_.http.max_body_bytes = 1000;
  config_.http.max_header_bytes = 2000;
  StartRouter();
  const TestResponse body = TestClient(port()).Post("/v1/completions", std::string(500000, 'x'));
  EXPECT_EQ(body.status, 413);
  EXPECT_THAT(body.headers, HasSubstr("connection: close"));
  EXPECT_EQ(TestClient(port()).Post("/v1/completions", "{}", "X: " + std::string(4000, 'y') + "\r\n").status,
            431);
  TestClient coded(port());
  coded.Send(
      "POST /v1/completions HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip, "
      "chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
  EXPECT_EQ(coded.Receive().status, 400);
  TestClient garbage(port());
  garbage.Send("\x16\x03\x01 this is no HTTP\r\n\r\n");
  EXPECT_EQ(garbage.Receive().status, 400);
  EXPECT_TRUE(garbage.WaitForClose());
}

TEST_F(RouterFixture, SlowHeadersAndIdleConnectionsAreClosed) {
  config_.http.header_timeout = absl::Milliseconds(100);
  config_.http.body_timeout = absl::Milliseconds(100);
  config_.http.idle_timeout = absl::Milliseconds(100);
  StartRouter();
  TestClient header(port());
  header.Send("POST /v1/com");
  EXPECT_TRUE(header.WaitForClose());
  TestClient body(port());
  body.Send("POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n{");
  EXPECT_TRUE(body.WaitForClose());
  TestClient idle(port());
  EXPECT_EQ(idle.Get("/healthz").status, 200);
  EXPECT_TRUE(idle.WaitForClose());
}

TEST_F(RouterFixture, ConnectionLimitIs503) {
  FakeWorker& decode = AddDecode(Hanging());
  config_.http.max_connections = 3;
  StartRouter();
  EXPECT_TRUE(Eventually([&] { return router_->connections() == 0; }));
  TestClient first(port()), second(port()), third(port());
  for (TestClient* client : {&first, &second, &third})
    client->Send(PostBytes("/v1/chat/completions", absl::StrCat(kChatBody, "}")));
  EXPECT_TRUE(decode.WaitForDecodes(3));
  TestClient fourth(port());
  EXPECT_EQ(fourth.Receive().status, 503) << "all are being answered";
  first.Close();
  EXPECT_TRUE(Eventually([&] { return TestClient(port()).Get("/healthz").status == 200; }));
}

// Whoever has sent nothing whole for the longest gives way to newcomers.
TEST_F(RouterFixture, SlowConnectionsDoNotStopService) {
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const size_t count = std::min<size_t>(2000, (files.rlim_max - 300) / 2);
  FakePlan plan = Says("one two three four");
  AddDecode(plan);
  config_.http.max_connections = 200;
  StartRouter();
  std::vector<std::unique_ptr<TestClient>> slow;
  for (size_t i = 0; i < count; ++i) {
    slow.push_back(std::make_unique<TestClient>(port()));
    slow.back()->Send(i % 2 == 0
                          ? "POST /v1/chat/comp"
                          : "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 99\r\n\r\n{");
    if (i % 200 != 199) continue;
    EXPECT_EQ(Chat("").status, 200) << i;
  }
  EXPECT_LE(router_->connections(), 210u);
  EXPECT_EQ(Chat("").status, 200);
}

TEST_F(RouterFixture, FullQueueIs429AndPlacesComeBack) {
  FakeWorker& decode = AddDecode(Hanging());
  config_.admission.max_inflight = 1;
  config_.admission.max_queue = 1;
  StartRouter();
  auto first = std::make_unique<TestClient>(port());
  first->Send(PostBytes("/v1/chat/completions", absl::StrCat(kChatBody, "}")));
  EXPECT_TRUE(decode.WaitForDecodes(1));
  TestClient second(port());
  second.Send(PostBytes("/v1/chat/completions", absl::StrCat(kChatBody, "}")));
  EXPECT_TRUE(Eventually([&] {
    return TestClient(port()).Get("/baton/status").body.find("\"queued\":1") != std::string::npos;
  }));
  const TestResponse third = Chat("");
  EXPECT_EQ(third.status, 429);
  EXPECT_THAT(third.headers, HasSubstr("retry-after: "));
  EXPECT_THAT(third.body, HasSubstr("rate_limit_exceeded"));
  decode.SetPlan(Says("at last"));
  first.reset();
  EXPECT_THAT(second.Receive().body, HasSubstr("at last"));
  EXPECT_TRUE(WaitForNoRequests());
}

TEST_F(RouterFixture, QueueTimeIsBounded) {
  FakeWorker& decode = AddDecode(Hanging());
  config_.admission.max_inflight = 1;
  config_.admission.max_queue_time = absl::Milliseconds(100);
  StartRouter();
  TestClient first(port());
  first.Send(PostBytes("/v1/chat/completions", absl::StrCat(kChatBody, "}")));
  EXPECT_TRUE(decode.WaitForDecodes(1));
  EXPECT_EQ(Chat("").status, 429);
}

TEST_F(RouterFixture, DrainFinishesStreamsAndRefusesNewOnes) {
  FakePlan plan = Says("one two three four five six");
  plan.token_delay = absl::Milliseconds(50);
  AddDecode(plan);
  StartRouter();
  TestClient streaming(port()), idle(port());
  EXPECT_EQ(idle.Get("/healthz").status, 200);
  streaming.Send(PostBytes("/v1/chat/completions", absl::StrCat(kChatBody, R"(,"stream":true})")));
  EXPECT_TRUE(streaming.ReceiveUntil("data: "));
  bool finished = false;
  std::thread drain([&] { finished = router_->Drain(absl::Seconds(20)); });
  EXPECT_TRUE(Eventually([&] { return idle.Get("/readyz").status == 503; }));
  const TestResponse refused = idle.Post("/v1/completions", R"({"prompt":"x"})");
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.headers, HasSubstr("connection: close"));
  EXPECT_THAT(streaming.Receive().body, HasSubstr("[DONE]"));
  drain.join();
  EXPECT_TRUE(finished);
  EXPECT_TRUE(streaming.WaitForClose());
}

TEST_F(RouterFixture, DrainGraceEndsWhatHangs) {
  FakeWorker& decode = AddDecode(Hanging());
  StartRouter();
  TestClient whole(port()), streaming(port());
  whole.Send(PostBytes("/v1/chat/completions", absl::StrCat(kChatBody, "}")));
  streaming.Send(PostBytes("/v1/chat/completions", absl::StrCat(kChatBody, R"(,"stream":true})")));
  EXPECT_TRUE(streaming.ReceiveUntil("data: "));
  EXPECT_TRUE(decode.WaitForDecodes(2));
  EXPECT_FALSE(router_->Drain(absl::Milliseconds(50)));
  const TestResponse refused = whole.Receive();
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.body, HasSubstr("shutting down"));
  const TestResponse broken = streaming.Receive();
  EXPECT_THAT(broken.body, AllOf(HasSubstr("shutting down"), Not(HasSubstr("[DONE]"))));
  EXPECT_TRUE(broken.complete);
  EXPECT_TRUE(whole.WaitForClose());
  EXPECT_TRUE(streaming.WaitForClose());
  EXPECT_TRUE(decode.WaitForCancelled(2));
}

}  // namespace
}  // namespace baton::router::testing
