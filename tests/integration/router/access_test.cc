// API keys: who is let in where, what a key's limits do, and that nothing secret is logged.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/api_keys.h"
#include "tests/integration/router/router_fixture.h"

namespace baton::router::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Access : public RouterFixture {
 protected:
  Access() {
    path_ = absl::StrCat(::testing::TempDir(), "/api-keys-", RandomId128().ToHex());
    config_.api_keys_file = path_;
    admin_ = Add({.name = "boss", .admin = true});
    admin_headers_ = Bearer(admin_);
  }
  ~Access() override { std::filesystem::remove(path_); }

  std::string Add(ApiKey key) {
    const std::string text = MakeApiKey(key);
    keys_.Add(key);
    EXPECT_TRUE(WriteApiKeys(path_, keys_).ok());
    return text;
  }
  TestResponse ChatAs(const std::string& key, const std::string& more = "") {
    return TestClient(port()).Post("/v1/chat/completions", absl::StrCat(kChatBody, more, "}"), Bearer(key));
  }
  int Status(const std::string& path, const std::string& key) {
    TestClient client(port());
    client.Send(absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: t\r\n", Bearer(key), "\r\n"));
    return client.Receive().status;
  }
  static std::string Bearer(const std::string& key) {
    return key.empty() ? "" : absl::StrCat("Authorization: Bearer ", key, "\r\n");
  }

  std::string path_, admin_;
  ApiKeys keys_;
};

TEST_F(Access, OnlyWithAKey) {
  FakeWorker& decode = AddDecode(Says("hello"));
  const std::string user = Add({.name = "user"});
  StartRouter();
  const TestResponse refused = ChatAs("");
  EXPECT_EQ(refused.status, 401);
  EXPECT_THAT(refused.body, HasSubstr(R"("code":"invalid_api_key")"));
  EXPECT_THAT(refused.headers, HasSubstr("www-authenticate: bearer"));
  EXPECT_EQ(ChatAs("baton-nonsense").status, 401);
  EXPECT_EQ(ChatAs(user.substr(0, user.size() - 2) + "zz").status, 401);
  EXPECT_EQ(decode.decodes().size(), 0u);
  EXPECT_EQ(ChatAs(user).status, 200);
  EXPECT_EQ(Status("/v1/models", ""), 401);
  EXPECT_EQ(Status("/v1/models", user), 200);
  EXPECT_EQ(Status("/baton/streams", ""), 401);
  EXPECT_EQ(Status("/baton/streams", user), 403);
  EXPECT_EQ(Status("/baton/streams", admin_), 200);
  EXPECT_EQ(Status("/healthz", ""), 200);
  EXPECT_EQ(Status("/readyz", ""), 200);
  EXPECT_EQ(Status("/metrics", ""), 200);
}

TEST_F(Access, TenantsShareNoPrefixes) {
  FakeWorker& decode = AddDecode(Says("hello"));
  const std::string a = Add({.name = "a"}), b = Add({.name = "b", .tenant = "shared"}),
                    c = Add({.name = "c", .tenant = "shared"});
  StartRouter();
  for (const std::string& key : {a, b, c}) EXPECT_EQ(ChatAs(key, R"(,"stream":true)").status, 200);
  EXPECT_EQ(ChatAs(a, R"(,"cache_salt":"mine")").status, 200);
  const auto decodes = decode.decodes();
  const auto salt = [&](int i) { return decodes[i].spec().cache_salt().SerializeAsString(); };
  EXPECT_NE(salt(0), salt(1));
  EXPECT_EQ(salt(1), salt(2));
  EXPECT_NE(salt(0), salt(3));
  EXPECT_NE(decodes[1].spec().principal().SerializeAsString(),
            decodes[2].spec().principal().SerializeAsString());
}

TEST_F(Access, RateLimitsAnswer429WithTheTimeToWait) {
  AddDecode(Says("hello"));
  const std::string slow = Add({.name = "slow", .requests_per_minute = 1}), fast = Add({.name = "fast"});
  StartRouter();
  EXPECT_EQ(ChatAs(slow).status, 200);
  const TestResponse refused = ChatAs(slow);
  EXPECT_EQ(refused.status, 429);
  EXPECT_THAT(refused.body, HasSubstr("rate limit of this API key"));
  EXPECT_THAT(refused.headers, HasSubstr("retry-after: "));
  EXPECT_EQ(ChatAs(fast).status, 200);
}

TEST_F(Access, ChangesOfTheFileCount) {
  AddDecode(Says("hello"));
  const std::string old_key = Add({.name = "old"});
  StartRouter();
  const std::string new_key = Add({.name = "new"});
  keys_.Remove("old");
  ASSERT_TRUE(WriteApiKeys(path_, keys_).ok());
  EXPECT_TRUE(Eventually([&] { return ChatAs(new_key).status == 200; }));
  EXPECT_EQ(ChatAs(old_key).status, 401);
}

TEST_F(Access, WithoutTheFileThereIsNoRouter) {
  std::filesystem::remove(path_);
  EXPECT_FALSE(Router::Start(config_, clock_).ok());
}

TEST_F(Access, NeitherKeysNorPromptsAreLogged) {
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  const auto logger =
      std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log));
  logger->set_level(spdlog::level::trace);
  spdlog::set_default_logger(logger);
  AddDecode(Says("an answer that is private"));
  const std::string key = Add({.name = "user"});
  StartRouter();
  const std::string secret = "my very private prompt";
  for (const std::string& as : {key, key + "1", std::string()}) {
    const std::string body = absl::StrCat(R"({"prompt":")", secret, R"(")");
    for (const char* end : {"}", R"(,"temperature":99})", R"(,"stream":true})", "", R"(,"secret":1})"})
      TestClient(port()).Post("/v1/completions", body + end, Bearer(as));
    Status(absl::StrCat("/v1/streams/", as), as);
  }
  Add({.name = "another"});
  EXPECT_TRUE(Eventually([&] {
    ChatAs(key);
    return log.str().find("3 API keys") != std::string::npos;
  }));
  router_.reset();
  spdlog::set_default_logger(before);
  EXPECT_THAT(log.str(), Not(HasSubstr(secret)));
  EXPECT_THAT(log.str(), Not(HasSubstr("private")));
  EXPECT_THAT(log.str(), Not(HasSubstr(key.substr(39))));
  EXPECT_THAT(log.str(), Not(HasSubstr(keys_.keys()[1].id.ToHex())));
}

}  // namespace
}  // namespace baton::router::testing
