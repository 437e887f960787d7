// `baton keys api`: what it writes and refuses.

#include "tools/ctl/api_key_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/ids.h"

namespace baton::ctl {
namespace {

using ::testing::HasSubstr;

class ApiKeyCommands : public ::testing::Test {
 protected:
  ApiKeyCommands() : file_(::testing::TempDir() + "/api-keys-" + RandomId128().ToHex()) {}
  ~ApiKeyCommands() override { std::filesystem::remove(file_); }

  absl::Status Run(std::vector<std::string> words) {
    words.insert(words.end(), {"--file", file_});
    const auto options = ParseApiKeys(words);
    return options.ok() ? ChangeApiKeys(*options) : options.status();
  }
  // The key that was printed.
  std::string Add(std::vector<std::string> words) {
    words.insert(words.begin(), "add");
    ::testing::internal::CaptureStdout();
    EXPECT_TRUE(Run(words).ok());
    std::string printed = ::testing::internal::GetCapturedStdout();
    printed.pop_back();
    return printed;
  }

  const std::string file_;
};

TEST_F(ApiKeyCommands, AddedKeysAreInForceUntilRemoved) {
  const std::string alice = Add({"alice", "--priority", "2", "--weight=3", "--tokens", "1000", "--admin"});
  const std::string bob = Add({"bob", "--tenant", "shared", "--requests=5"});
  auto keys = ReadApiKeys(file_);
  ASSERT_TRUE(keys.ok()) << keys.status();
  const ApiKey* first = keys->Find(alice);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->priority, 2);
  EXPECT_EQ(first->weight, 3);
  EXPECT_EQ(first->tokens_per_minute, 1000u);
  EXPECT_TRUE(first->admin);
  ::testing::internal::CaptureStdout();
  EXPECT_TRUE(Run({"list"}).ok());
  const std::string list = ::testing::internal::GetCapturedStdout();
  EXPECT_THAT(list, HasSubstr("shared"));
  EXPECT_EQ(list.find(alice.substr(39)), std::string::npos);
  EXPECT_TRUE(Run({"remove", "alice"}).ok());
  EXPECT_TRUE(absl::IsNotFound(Run({"remove", "alice"})));
  keys = ReadApiKeys(file_);
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->Find(alice), nullptr);
  EXPECT_NE(keys->Find(bob), nullptr);
}

TEST_F(ApiKeyCommands, RefusesWhatMakesNoSense) {
  EXPECT_FALSE(ParseApiKeys(std::vector<std::string>{"list"}).ok()) << "no file";
  EXPECT_FALSE(Run({}).ok());
  EXPECT_FALSE(Run({"add"}).ok());
  EXPECT_FALSE(Run({"add", "a b"}).ok());
  EXPECT_FALSE(Run({"add", "x", "--weight", "0"}).ok());
  EXPECT_FALSE(Run({"add", "x", "--tokens", "-1"}).ok());
  EXPECT_FALSE(Run({"add", "x", "--priority", "10"}).ok());
  EXPECT_TRUE(absl::IsNotFound(Run({"list"}))) << "nothing was written";
}

}  // namespace
}  // namespace baton::ctl
