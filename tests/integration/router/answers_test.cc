// What clients get when all goes well: chat, completions, streams, choices, stop strings, log-probabilities,
// models.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/integration/router/router_fixture.h"

namespace baton::router::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++count;
  return count;
}

TEST_F(RouterFixture, ChatAnswersWhole) {
  FakeWorker& decode = AddDecode(Says("hello world"));
  StartRouter();
  const TestResponse response = Chat(R"(,"model":"tiny","seed":7)");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body,
              AllOf(HasSubstr(R"("object":"chat.completion")"), HasSubstr(R"("content":"hello world")"),
                    HasSubstr(R"("finish_reason":"length")"), HasSubstr(R"("system_fingerprint":"fp-test")"),
                    HasSubstr(R"("prompt_tokens_details":{"cached_tokens":0})"),
                    HasSubstr(absl::StrCat(R"("completion_tokens":)", Tokens("hello world").size()))));
  const auto requests = decode.decodes();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].spec().sampling().seed(), 7u);
  EXPECT_EQ(requests[0].spec().max_tokens(), 64u);
  EXPECT_EQ(requests[0].spec().attempt().n(), 1u);
  EXPECT_FALSE(requests[0].has_source());
  EXPECT_GT(requests[0].spec().stop_tokens_size(), 0);
}

TEST_F(RouterFixture, ChatStreams) {
  AddDecode(Says("hello world"));
  StartRouter();
  const TestResponse response = Chat(R"(,"stream":true,"stream_options":{"include_usage":true})");
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.complete);
  EXPECT_THAT(response.headers, HasSubstr("content-type: text/event-stream"));
  EXPECT_EQ(Count(response.body, R"("role":"assistant")"), 1u);
  EXPECT_EQ(Count(response.body, R"("finish_reason":"length")"), 1u);
  EXPECT_THAT(response.body,
              AllOf(HasSubstr(R"("choices":[],"usage":{"prompt_tokens":)"), HasSubstr(R"("usage":null)")));
  EXPECT_TRUE(response.body.ends_with("data: [DONE]\n\n"));
}

TEST_F(RouterFixture, LongPromptsAreSplit) {
  FakePlan plan = Says("split answer");
  plan.await_release = true;
  FakeWorker& decode = AddDecode(plan);
  FakeWorker& prefill = AddPrefill(Says("split answer"));
  config_.registry.placement.direct_below_tokens = 1;
  StartRouter();
  TestClient client(port());
  client.Send(
      PostBytes("/v1/chat/completions",
                absl::StrCat(kChatBody, R"(,"stream":true,"stream_options":{"include_usage":true}})")));
  EXPECT_TRUE(client.ReceiveUntil(R"("delta":{"content":")"));  // the first token waits for no KV
  decode.Release();
  const TestResponse response = client.Receive();
  EXPECT_THAT(response.body, AllOf(HasSubstr(R"("cached_tokens":3)"), HasSubstr("[DONE]")));
  EXPECT_EQ(Count(response.body, R"("delta":{"content":")"), Tokens("split answer").size());
  ASSERT_EQ(decode.decodes().size(), 1u);
  ASSERT_EQ(prefill.prefills().size(), 1u);
  EXPECT_EQ(decode.decodes()[0].source().endpoint(), "tcp://127.0.0.1:1");
  EXPECT_EQ(prefill.prefills()[0].spec().stream().lo(), decode.decodes()[0].spec().stream().lo());
  EXPECT_NE(prefill.prefills()[0].reader_epoch().hi(), 0u);
  EXPECT_THAT(TestClient(port()).Get("/metrics").body,
              HasSubstr(R"(baton_router_handoffs_total{outcome="held"} 1)"));
}

TEST_F(RouterFixture, StopStringsSpanTokensAndCostNothingAfter) {
  FakePlan plan = Says("one two three four");
  plan.endless = true;
  FakeWorker& decode = AddDecode(plan);
  StartRouter();
  const TestResponse response = Chat(R"(,"stop":["wo thr"])");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body,
              AllOf(HasSubstr(R"("content":"one t")"), HasSubstr(R"("finish_reason":"stop")")));
  EXPECT_TRUE(decode.WaitForIdle());
  EXPECT_EQ(decode.cancelled(), 1);
}

TEST_F(RouterFixture, ChoicesHaveTheirOwnStreamsAndIndices) {
  FakeWorker& decode = AddDecode(Says("x"));
  StartRouter();
  const TestResponse response = Complete(R"("prompt":["a b","c"],"n":2,"max_tokens":1,"temperature":0.5)");
  EXPECT_EQ(response.status, 200);
  for (const char* index : {"\"index\":0", "\"index\":1", "\"index\":2", "\"index\":3"}) {
    EXPECT_THAT(response.body, HasSubstr(index));
  }
  const auto requests = decode.decodes();
  ASSERT_EQ(requests.size(), 4u);
  EXPECT_EQ(requests[0].spec().sampling().seed(), requests[3].spec().sampling().seed());
  EXPECT_NE(requests[0].spec().stream().hi(), requests[1].spec().stream().hi());
}

TEST_F(RouterFixture, LogprobsInBothForms) {
  AddDecode(Says("ab"));
  StartRouter();
  EXPECT_THAT(Chat(R"(,"logprobs":true,"top_logprobs":1)").body,
              AllOf(HasSubstr(R"("logprobs":{"content":[{"token":")"),
                    HasSubstr(R"("logprob":-0.5,"bytes":[97)"), HasSubstr(R"("top_logprobs":[{"token")")));
  EXPECT_THAT(Complete(R"("prompt":"q","logprobs":1)").body,
              AllOf(HasSubstr(R"("logprobs":{"tokens":[")"), HasSubstr(R"("token_logprobs":[-0.5)"),
                    HasSubstr(R"("text_offset":[0)")));
}

TEST_F(RouterFixture, StopTokenIsSilent) {
  FakePlan plan = Says("bye");
  plan.tokens.push_back(tokenizer_->eos_tokens().front());
  plan.finish = v1::FINISH_REASON_STOP;
  AddDecode(plan);
  StartRouter();
  EXPECT_THAT(Complete(R"("prompt":"q")").body,
              AllOf(HasSubstr(R"("text":"bye")"), HasSubstr(R"("finish_reason":"stop")")));
}

TEST_F(RouterFixture, Utf8IsNeverSplit) {
  AddDecode(Says("grüße 🚀 日本"));
  StartRouter();
  const TestResponse response = Chat(R"(,"stream":true)");
  EXPECT_THAT(response.body, AllOf(HasSubstr("🚀"), HasSubstr("ü"), Not(HasSubstr("\xEF\xBF\xBD"))));
}

TEST_F(RouterFixture, TokenPromptsAndKeepAlive) {
  FakeWorker& decode = AddDecode(Says("k"));
  StartRouter();
  TestClient client(port());
  EXPECT_EQ(client.Post("/v1/completions", R"({"prompt":[1,2,3],"stop_token_ids":[5]})").status, 200);
  EXPECT_EQ(client.Post("/v1/completions", R"({"prompt":[[4,5],[6]]})").status, 200);
  const auto requests = decode.decodes();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].spec().tokens_size(), 3);
  EXPECT_EQ(requests[0].spec().stop_tokens(0), 5);
  EXPECT_EQ(requests[0].spec().max_tokens(), 16u);
}

TEST_F(RouterFixture, PipelinedRequestsAreAnsweredInOrder) {
  AddDecode(Says("k"));
  StartRouter();
  TestClient client(port());
  client.Send(PostBytes("/v1/completions", R"({"prompt":"first"})") +
              "GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n" +
              PostBytes("/v1/completions", R"({"prompt":"third","stream":true})"));
  EXPECT_THAT(client.Receive().body, HasSubstr("text_completion"));
  EXPECT_EQ(client.Receive().body, "ok\n");
  EXPECT_THAT(client.Receive().body, HasSubstr("[DONE]"));
}

TEST_F(RouterFixture, AdminPaths) {
  AddDecode(Says("k"));
  StartRouter();
  TestClient client(port());
  EXPECT_EQ(client.Get("/healthz").status, 200);
  EXPECT_EQ(client.Get("/readyz").status, 200);
  EXPECT_EQ(client.Get("/health").status, 200);  // the same, as clients of other servers ask it
  EXPECT_THAT(client.Get("/v1/models").body, HasSubstr(R"("id":"tiny","object":"model")"));
  EXPECT_EQ(client.Get("/v1/models/tiny").status, 200);
  EXPECT_EQ(client.Get("/v1/models/other").status, 404);
  EXPECT_THAT(client.Get("/metrics").body, HasSubstr("baton_router_ttft_seconds"));
  EXPECT_THAT(client.Get("/baton/status").body,
              AllOf(HasSubstr(R"("role":"decode")"), HasSubstr(R"("free":1000)")));
}

}  // namespace
}  // namespace baton::router::testing
