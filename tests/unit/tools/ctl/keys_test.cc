// `baton keys`: what it writes, keeps and refuses.

#include "tools/ctl/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/curve_keys.h"
#include "common/ids.h"

namespace baton::ctl {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class KeysTest : public ::testing::Test {
 protected:
  KeysTest() : folder_(fs::temp_directory_path() / ("baton-keys-" + RandomId128().ToHex())) {
    fs::create_directory(folder_);
    here_.state_root = (folder_ / "state").string();
  }
  ~KeysTest() override { fs::remove_all(folder_); }
  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  int Run(const std::vector<std::string>& words) const {
    const auto options = ParseKeys(words);
    EXPECT_TRUE(options.ok()) << options.status();
    return options.ok() && Keys(here_, *options).ok() ? 0 : 1;
  }
  std::vector<std::string> Names(const std::string& list) const {
    std::vector<std::string> names;
    const auto allowed = ReadAllowedKeys(list);
    EXPECT_TRUE(allowed.ok()) << allowed.status();
    if (!allowed.ok()) return names;
    for (const AllowedKey& key : allowed->keys()) names.push_back(key.name);
    return names;
  }
  bool Listed(const std::string& file, const std::string& list) const {
    return ReadAllowedKeys(list)->FindCurve(ReadKeyFile(file)->curve().public_key) != nullptr;
  }
  fs::path folder_;
  Surroundings here_;
};

TEST_F(KeysTest, NewKeysAreListedUnderTheirNames) {
  ASSERT_EQ(Run({"new", Path("a.key"), Path("b.key")}), 0);
  EXPECT_THAT(Names(Path("allowed")), ElementsAre("a", "b"));
  EXPECT_TRUE(Listed(Path("a.key"), Path("allowed")));
  const std::string before = ReadKeyFile(Path("a.key"))->public_key();
  EXPECT_EQ(Run({"new", Path("a.key")}), 1) << "never overwrites";
  EXPECT_EQ(ReadKeyFile(Path("a.key"))->public_key(), before);
  ASSERT_EQ(Run({"new", Path("c.key"), "--allowed", Path("other")}), 0);
  EXPECT_THAT(Names(Path("other")), ElementsAre("c"));
  EXPECT_EQ(Run({"list", "--allowed", Path("allowed")}), 0);
  EXPECT_EQ(Run({"list", "--allowed", Path("none")}), 1);
}

TEST_F(KeysTest, RotateReplacesTheKeyAndThenTheListing) {
  ASSERT_EQ(Run({"new", Path("a.key"), Path("b.key")}), 0);
  const IdentityKey old = *ReadKeyFile(Path("a.key"));
  ASSERT_EQ(Run({"rotate", Path("a.key"), "--wait", "0"}), 0);
  EXPECT_NE(ReadKeyFile(Path("a.key"))->public_key(), old.public_key());
  EXPECT_TRUE(Listed(Path("a.key"), Path("allowed")));
  EXPECT_EQ(ReadAllowedKeys(Path("allowed"))->FindCurve(old.curve().public_key), nullptr);
  EXPECT_THAT(Names(Path("allowed")), UnorderedElementsAre("a", "b"));
}

TEST_F(KeysTest, RotateCanLeaveTheOldKeyToBeRemoved) {
  ASSERT_EQ(Run({"new", Path("a.key")}), 0);
  const IdentityKey old = *ReadKeyFile(Path("a.key"));
  ASSERT_EQ(Run({"rotate", Path("a.key"), "--wait", "0", "--keep-old"}), 0);
  EXPECT_THAT(Names(Path("allowed")), ElementsAre("a", "a"));
  ASSERT_EQ(Run({"remove", KeyText(old.public_key()), "--allowed", Path("allowed")}), 0);
  EXPECT_TRUE(Listed(Path("a.key"), Path("allowed")));
  EXPECT_THAT(Names(Path("allowed")), ElementsAre("a"));
}

TEST_F(KeysTest, RotateRefusesWhatIsNotListed) {
  ASSERT_EQ(Run({"new", Path("a.key")}), 0);
  ASSERT_EQ(Run({"remove", "a", "--allowed", Path("allowed")}), 0);
  const std::string before = ReadKeyFile(Path("a.key"))->public_key();
  EXPECT_EQ(Run({"rotate", Path("a.key"), "--wait", "0"}), 1);
  EXPECT_EQ(ReadKeyFile(Path("a.key"))->public_key(), before);
  EXPECT_EQ(Run({"remove", "a", "--allowed", Path("allowed")}), 1) << "there is none of that name";
}

TEST_F(KeysTest, AClustersKeysAreRotatedTogether) {
  EXPECT_EQ(Run({"rotate", "--wait", "0"}), 1) << "no cluster";
  EXPECT_EQ(Run({"list"}), 1);
  const std::string keys = ClusterKeys(ClusterFolder(here_.state_root, "default"));
  ASSERT_TRUE(MakeClusterKeys(keys, {"prefill-0", "decode-0"}).ok());
  const std::string before = ReadKeyFile(KeyFileOf(keys, "decode-0"))->public_key();
  ASSERT_EQ(Run({"rotate", "--wait", "0"}), 0);
  EXPECT_NE(ReadKeyFile(KeyFileOf(keys, "decode-0"))->public_key(), before);
  EXPECT_THAT(Names(ListOf(keys)), UnorderedElementsAre("prefill-0", "decode-0"));
  ASSERT_TRUE(MakeClusterKeys(keys, {"decode-0"}).ok()) << "made anew";
  EXPECT_THAT(Names(ListOf(keys)), ElementsAre("decode-0"));
  EXPECT_FALSE(fs::exists(KeyFileOf(keys, "prefill-0")));
}

TEST_F(KeysTest, WrongWordsAreNamed) {
  const auto why = [](const std::vector<std::string>& words) {
    return std::string(ParseKeys(words).status().message());
  };
  EXPECT_THAT(why({}), HasSubstr("new, list, rotate, remove"));
  EXPECT_THAT(why({"make"}), HasSubstr("new, list, rotate, remove"));
  EXPECT_THAT(why({"new"}), HasSubstr("FILE"));
  EXPECT_THAT(why({"remove"}), HasSubstr("keys to remove"));
  EXPECT_THAT(why({"list", "x"}), HasSubstr("--allowed"));
  EXPECT_THAT(why({"rotate", "--wait", "soon"}), HasSubstr("--wait"));
  EXPECT_THAT(why({"list", "--name", "../x"}), HasSubstr("--name"));
}

}  // namespace
}  // namespace baton::ctl
