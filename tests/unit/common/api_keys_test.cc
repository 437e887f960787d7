#include "common/api_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "absl/strings/str_cat.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ApiKey Named(const std::string& name) {
  ApiKey key;
  key.name = name;
  return key;
}

TEST(ApiKeys, FindsByTheWholeKeyOnly) {
  ApiKeys keys;
  ApiKey alice = Named("alice"), bob = Named("bob");
  const std::string alices = MakeApiKey(alice), bobs = MakeApiKey(bob);
  keys.Add(alice);
  keys.Add(bob);
  ASSERT_NE(keys.Find(alices), nullptr);
  EXPECT_EQ(keys.Find(alices)->name, "alice");
  EXPECT_EQ(keys.Find(bobs)->name, "bob");
  EXPECT_EQ(keys.Find(""), nullptr);
  EXPECT_EQ(keys.Find(alices + "0"), nullptr);
  EXPECT_EQ(keys.Find(alices.substr(0, alices.size() - 1)), nullptr);
  EXPECT_EQ(keys.Find(alices.substr(0, 39) + bobs.substr(39)), nullptr) << "alice's ID with bob's secret";
  for (size_t i = 0; i < alices.size(); ++i) {
    std::string wrong = alices;
    wrong[i] = wrong[i] == '1' ? '2' : '1';
    EXPECT_EQ(keys.Find(wrong), nullptr) << i;
  }
}

TEST(ApiKeys, NobodysKeyIsTheNullOne) {
  ApiKeys keys;
  EXPECT_EQ(keys.Find(absl::StrCat("baton-", std::string(32, '0'), "-", std::string(64, '0'))), nullptr);
}

TEST(ApiKeys, TextHasEverythingButTheSecret) {
  ApiKey key = Named("carol");
  key.tenant = "team-1";
  key.priority = 3;
  key.weight = 2.5;
  key.requests_per_minute = 60;
  key.tokens_per_minute = 100000;
  key.admin = true;
  const std::string text = MakeApiKey(key);
  ApiKeys keys;
  keys.Add(key);
  keys.Add(Named("dave"));
  EXPECT_EQ(keys.Remove("dave"), 1u);
  EXPECT_THAT(keys.ToText(), Not(HasSubstr(text.substr(39))));
  const auto read = ApiKeys::FromText(absl::StrCat("# comment\n\n", keys.ToText()));
  ASSERT_TRUE(read.ok()) << read.status();
  const ApiKey* found = read->Find(text);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(read->ToText(), keys.ToText());
  EXPECT_EQ(found->priority, 3);
  EXPECT_EQ(found->weight, 2.5);
  EXPECT_EQ(found->tokens_per_minute, 100000u);
  EXPECT_EQ(found->cache_tenant(), "team-1");
  EXPECT_TRUE(found->admin);
  EXPECT_EQ(Named("erin").cache_tenant(), "erin");
}

TEST(ApiKeys, BadLinesAreNamed) {
  ApiKey key = Named("x");
  MakeApiKey(key);
  ApiKeys keys;
  keys.Add(key);
  std::string line = keys.ToText();
  line.pop_back();
  const auto refused = [](const std::string& text) {
    return std::string(ApiKeys::FromText(text).status().message());
  };
  EXPECT_THAT(refused("\nnonsense"), HasSubstr("line 2"));
  EXPECT_THAT(refused(line + " colour=red"), HasSubstr("colour"));
  EXPECT_THAT(refused(line + " weight=nan"), HasSubstr("weight"));
  EXPECT_THAT(refused(line + " weight=0"), HasSubstr("weight"));
  EXPECT_THAT(refused(line + " priority=10"), HasSubstr("priority"));
  EXPECT_THAT(refused(line + " tokens=-1"), HasSubstr("tokens"));
  EXPECT_THAT(refused(line + " name=a/b"), HasSubstr("name"));
  EXPECT_THAT(refused(absl::StrCat(line, "\n", line)), HasSubstr("listed before"));
  EXPECT_THAT(refused(line.substr(1)), HasSubstr("hexadecimal"));
}

TEST(ApiKeys, TheFileIsPrivate) {
  const std::string path = ::testing::TempDir() + "/api-keys-test";
  ASSERT_TRUE(WriteApiKeys(path, ApiKeys()).ok());
  EXPECT_TRUE(ReadApiKeys(path).ok());
  chmod(path.c_str(), 0644);
  EXPECT_THAT(std::string(ReadApiKeys(path).status().message()), HasSubstr("chmod 600"));
  std::filesystem::remove(path);
  EXPECT_TRUE(absl::IsNotFound(ReadApiKeys(path).status()));
}

}  // namespace
}  // namespace baton
