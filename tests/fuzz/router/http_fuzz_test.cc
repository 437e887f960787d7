// Mutated HTTP requests against the live server: it answers or closes, and still serves after all of them.

#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/ascii.h"
#include "common/api_keys.h"
#include "common/ids.h"
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

// Keys, whole and mutated, in headers that are mutated too: nobody is let in but by a whole one.
TEST_F(RouterFixture, MutatedKeysLetNobodyIn) {
  const std::string path = ::testing::TempDir() + "/fuzzed-api-keys-" + RandomId128().ToHex();
  ApiKey admin{.name = "admin", .admin = true};
  const std::string key = MakeApiKey(admin);
  ApiKeys keys;
  keys.Add(admin);
  ASSERT_TRUE(WriteApiKeys(path, keys).ok());
  config_.api_keys_file = path;
  admin_headers_ = "Authorization: Bearer " + key + "\r\n";
  FakeWorker& decode = AddDecode({.tokens = {70, 71, 72}});
  StartRouter();
  const std::vector<std::string> words = {"Bearer ",
                                          "bearer",
                                          "Basic ",
                                          "baton-",
                                          " ",
                                          "\t",
                                          "\r\n ",
                                          ",",
                                          "Authorization: Bearer x\r\n",
                                          std::string(32, '0')};
  for (uint64_t seed = 0; seed < kMutations / 50; ++seed) {
    const std::string value = Mutator(seed, words).Mutate("Bearer " + key);
    const bool whole = absl::AsciiStrToLower(value).find(key) != std::string::npos;  // but for the case
    TestClient client(port());
    client.Send(PostBytes("/v1/completions", R"({"prompt":[1,2,3]})", "Authorization: " + value + "\r\n"));
    const int status = client.Receive(absl::Seconds(2)).status;
    ASSERT_TRUE(whole || status != 200) << "seed " << seed;
  }
  EXPECT_TRUE(WaitForNoRequests());
  EXPECT_TRUE(decode.WaitForIdle());
  std::filesystem::remove(path);
}

// Mutated files of keys: read or refused by line, and what was read is written as it is read again.
TEST(ApiKeysFuzz, MutatedFiles) {
  ApiKey first{.name = "first", .weight = 2, .tokens_per_minute = 9}, second{.name = "second", .admin = true};
  MakeApiKey(first);
  MakeApiKey(second);
  ApiKeys keys;
  keys.Add(first);
  keys.Add(second);
  const std::string text = keys.ToText();
  const std::vector<std::string> words = {
      "\n", "#", " ", "=", "name=", "weight=1e999", "priority=-1", "tokens="};
  for (uint64_t seed = 0; seed < kMutations; ++seed) {
    const auto read = ApiKeys::FromText(Mutator(seed, words).Mutate(text));
    if (!read.ok()) continue;
    const auto again = ApiKeys::FromText(read->ToText());
    ASSERT_TRUE(again.ok()) << "seed " << seed << ": " << again.status();
    ASSERT_EQ(again->ToText(), read->ToText()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace baton::router::testing
