#include "tools/ctl/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/ctl/arguments.h"

namespace baton::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Split(std::initializer_list<const char*> words) {
  return {words.begin(), words.end()};
}

TEST(ArgumentsTest, TakesBothFormsSwitchesAndWhatFollowsTheDashes) {
  const auto words = Split({"--one", "1", "--two=a=b", "word", "-f", "--", "--pages=3", "x"});
  const auto arguments = Arguments::Parse(words, {"one", "two"}, {"f"});
  ASSERT_TRUE(arguments.ok());
  EXPECT_EQ(*arguments->Number("one", 9, 0, 10), 1);
  EXPECT_EQ(arguments->Text("two", ""), "a=b");
  EXPECT_TRUE(arguments->Has("f"));
  EXPECT_THAT(arguments->positional(), ElementsAre("word"));
  EXPECT_THAT(arguments->passed_on(), ElementsAre("--pages=3", "x"));
}

TEST(ArgumentsTest, NamesWhatDoesNotFit) {
  const auto message = [](const std::vector<std::string>& words) {
    return std::string(Arguments::Parse(words, {"one"}, {"f"}).status().message());
  };
  EXPECT_EQ(message(Split({"--other"})), "unknown option --other");
  EXPECT_EQ(message(Split({"--one"})), "--one needs a value");
  EXPECT_EQ(message(Split({"--f=1"})), "--f takes no value");
}

TEST(ArgumentsTest, NumbersAreWholeAndInRange) {
  for (const char* bad : {"11", "-1", "2.5", "", "x"}) {
    const auto arguments = Arguments::Parse(Split({"--one", bad}), {"one"}, {});
    ASSERT_TRUE(arguments.ok());
    EXPECT_THAT(arguments->Number("one", 9, 0, 10).status().message(), HasSubstr("whole number from 0 to 10"))
        << bad;
  }
  EXPECT_FALSE(Arguments::Parse(Split({"--one", "x"}), {"one"}, {})->Real("one").ok());
  EXPECT_DOUBLE_EQ(**Arguments::Parse(Split({"--one", "0.5"}), {"one"}, {})->Real("one"), 0.5);
}

TEST(UpOptionsTest, DefaultsAreOnePrefillTwoDecode) {
  const auto up = ParseUp(Split({"--model", "m.gguf"}), 8);
  ASSERT_TRUE(up.ok());
  EXPECT_EQ(up->spec.prefill, 1);
  EXPECT_EQ(up->spec.decode, 2);
  EXPECT_EQ(up->spec.port, 8000);
  EXPECT_EQ(up->spec.threads, 4);
  EXPECT_FALSE(up->detach);
}

TEST(UpOptionsTest, AKvPoolHasASizeAndPerhapsADisk) {
  const auto up = ParseUp(Split({"--model=m", "--kv-pool", "2G", "--kv-disk=/some:dir:512M"}), 8);
  ASSERT_TRUE(up.ok()) << up.status();
  EXPECT_EQ(up->spec.kv_pool_mb, 2048);
  EXPECT_EQ(up->spec.kv_disk_mb, 512);
  EXPECT_EQ(up->spec.kv_disk_dir, "/some:dir");
  for (const char* bad : {"2", "G", "0G", "-1G", "2.5G", "99999999T", "2g"}) {
    EXPECT_THAT(ParseUp(Split({"--model=m", "--kv-pool", bad}), 8).status().message(), HasSubstr("--kv-pool"))
        << bad;
  }
  for (const char* bad : {"dir", ":2G", "dir:", "dir:2"}) {
    EXPECT_THAT(ParseUp(Split({"--model=m", "--kv-pool=1G", "--kv-disk", bad}), 8).status().message(),
                HasSubstr("--kv-disk"))
        << bad;
  }
  EXPECT_FALSE(ParseUp(Split({"--model=m", "--kv-disk=dir:1G"}), 8).ok()) << "a disk tier without a pool";
}

TEST(UpOptionsTest, EveryOptionArrives) {
  const auto words = Split({"--model=m", "--prefill=0", "--decode=3", "--ranks=2", "--threads=5", "--port=0",
                            "--listen=0.0.0.0", "--name=b-2", "--detach", "--timeout=7",
                            "--router-flags=--max_queue=3  --v=1", "--", "--pages=64"});
  const auto up = ParseUp(words, 8);
  ASSERT_TRUE(up.ok()) << up.status();
  EXPECT_EQ(up->spec.prefill, 0);
  EXPECT_EQ(up->spec.decode, 3);
  EXPECT_EQ(up->spec.ranks, 2);
  EXPECT_EQ(up->spec.threads, 5);
  EXPECT_EQ(up->spec.port, 0);
  EXPECT_EQ(up->spec.host, "0.0.0.0");
  EXPECT_EQ(up->spec.name, "b-2");
  EXPECT_TRUE(up->detach);
  EXPECT_EQ(up->timeout_s, 7);
  EXPECT_THAT(up->spec.worker_flags, ElementsAre("--pages=64"));
  EXPECT_THAT(up->spec.router_flags, ElementsAre("--max_queue=3", "--v=1"));
}

TEST(UpOptionsTest, RefusesWithTheOptionsName) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {Split({}), "--model"},
      {Split({"--model=m", "--decode=0"}), "--decode"},
      {Split({"--model=m", "--prefill=65"}), "--prefill"},
      {Split({"--model=m", "--name=a/b"}), "--name"},
      {Split({"--model=m", "--name="}), "--name"},
      {Split({"--model=m", "stray"}), "stray"},
  };
  for (const auto& [words, expected] : cases) {
    EXPECT_THAT(ParseUp(words, 2).status().message(), HasSubstr(expected));
  }
}

TEST(UpOptionsTest, CoresAreSharedOutAmongTheBusierRole) {
  EXPECT_EQ(DefaultThreads(16, 1, 2, 1), 8);
  EXPECT_EQ(DefaultThreads(16, 1, 2, 2), 4);
  EXPECT_EQ(DefaultThreads(16, 4, 2, 1), 4);
  EXPECT_EQ(DefaultThreads(2, 1, 8, 1), 1);
  EXPECT_EQ(DefaultThreads(1, 0, 1, 1), 1);
}

TEST(OtherOptionsTest, ParseTheirOwn) {
  EXPECT_EQ(ParseDown(Split({"--grace", "3"}))->grace_s, 3);
  EXPECT_THAT(ParseDown(Split({"--grace=21"})).status().message(), HasSubstr("from 0 to 20"));
  EXPECT_TRUE(ParseStatus(Split({"--json"}))->json);
  const auto logs = ParseLogs(Split({"router", "-f", "-n", "5"}));
  ASSERT_TRUE(logs.ok());
  EXPECT_EQ(logs->process, "router");
  EXPECT_TRUE(logs->follow);
  EXPECT_EQ(logs->lines, 5);
  EXPECT_FALSE(ParseLogs(Split({"a", "b"})).ok());
  const auto chat = ParseChat(Split({"--seed=4", "--temperature", "0", "two", "words"}));
  ASSERT_TRUE(chat.ok());
  EXPECT_EQ(chat->seed, 4);
  EXPECT_EQ(chat->temperature, 0.0);
  EXPECT_EQ(chat->text, "two words");
  EXPECT_EQ(ParseChat(Split({}))->seed, std::nullopt);
  for (const char* option : {"--url", "--api_key", "--cacert"}) {
    EXPECT_THAT(ParseStreams(Split({option, ""})).status().message(), HasSubstr("is empty"));
  }
  const auto migrate = ParseMigrate(Split({"--url=https://r", "--api_key", "k", "--cacert=c", "a", "b"}));
  ASSERT_TRUE(migrate.ok());
  EXPECT_EQ(migrate->server.url + migrate->server.api_key + migrate->server.cacert, "https://rkc");
  EXPECT_EQ(ParseChat(Split({"what is", "--", "-5 + 3"}))->text, "what is -5 + 3");
}

}  // namespace
}  // namespace baton::ctl
