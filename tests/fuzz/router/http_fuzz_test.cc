// Mutated HTTP requests against the live server: it answers or closes, and still serves after all of them.

#include <gtest/gtest.h>

#include "tests/fuzz/router/mutator.h"
#include "tests/integration/router/router_fixture.h"

namespace baton::router::testing {
namespace {

constexpr uint64_t kMutations = 100000;

const std::vector<std::string> kWords = {"\r\n",
                                         "\r\n\r\n",
                                         "Transfer-Encoding: chunked\r\n",
                                         "Content-Length: 5\r\n",
                                         "Content-Length: -1\r\n",
                                         "Content-Length: 99999999999999999999\r\n",
                                         "Expect: 100-continue\r\n",
                                         "Connection: close\r\n",
                                         "HTTP/1.0",
                                         "HTTP/9.9",
                                         "GET ",
                                         "5\r\nhello\r\n",
                                         "ffffffffffffffff\r\n",
                                         "0\r\n\r\n",
                                         "%00",
                                         "?a=b",
                                         "\x00\x01",
                                         "{\"prompt\":\"x\"}",
                                         "\"n\":16",
                                         "\"stream\":true",
                                         "/v1/models",
                                         "/baton/streams",
                                         "\"to\":\"",
                                         "/metrics"};

TEST_F(RouterFixture, SurvivesMutatedRequests) {
  config_.http.header_timeout = absl::Milliseconds(300);
  config_.http.body_timeout = absl::Milliseconds(300);
  config_.http.idle_timeout = absl::Milliseconds(300);
  AddDecode({.tokens = {70, 71, 72}});
  AddPrefill({.tokens = {70, 71, 72}});
  StartRouter();
  const std::vector<std::string> requests = {
      PostBytes("/v1/chat/completions", std::string(kChatBody) + "}"),
      PostBytes("/v1/chat/completions", std::string(kChatBody) + R"(,"stream":true,"n":3})"),
      PostBytes("/v1/completions", R"({"prompt":[1,2,3],"logprobs":2})"),
      "POST /v1/completions HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
      "chunked\r\n\r\ne\r\n{\"prompt\":\"x\"}\r\n0\r\n\r\n",
      PostBytes("/baton/migrate", R"({"stream":"00112233445566778899aabbccddeeff","to":"decode/0"})"),
      "GET /baton/streams HTTP/1.1\r\nHost: t\r\n\r\n",
      "GET /readyz HTTP/1.1\r\nHost: t\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: t\r\n\r\n"};
  for (uint64_t seed = 0; seed < kMutations; ++seed) {
    Mutator mutator(seed, kWords);
    TestClient client(port());
    ASSERT_TRUE(client.connected()) << "seed " << seed;
    client.Send(mutator.Mutate(requests[seed % requests.size()]));
    if (seed % 50 == 0) client.Receive(absl::Milliseconds(500));
    if (seed % 500 == 0) {
      ASSERT_EQ(TestClient(port()).Get("/healthz").status, 200) << "seed " << seed;
    }
  }
  EXPECT_TRUE(WaitForNoRequests());
  EXPECT_TRUE(Eventually([&] { return router_->connections() == 0; }));
  EXPECT_EQ(Chat("").status, 200);
  for (const auto& worker : workers_) EXPECT_TRUE(worker->WaitForIdle());
}

}  // namespace
}  // namespace baton::router::testing
