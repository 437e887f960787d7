// Identities and lists: their text, their files, and what each refuses.

#include "common/curve_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sodium.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace baton {
namespace {

using ::testing::HasSubstr;

AllowedKeys ListOf(const std::vector<std::pair<IdentityKey, std::string>>& named) {
  std::string text;
  for (const auto& [key, name] : named) absl::StrAppend(&text, KeyText(key.public_key()), " ", name, "\n");
  return *AllowedKeys::FromText(text);
}

class KeyFilesTest : public ::testing::Test {
 protected:
  KeyFilesTest() {
    folder_ = std::filesystem::temp_directory_path() / absl::StrCat("baton-keys-", RandomName());
    std::filesystem::create_directory(folder_);
  }
  ~KeyFilesTest() override { std::filesystem::remove_all(folder_); }
  static std::string RandomName() { return KeyText(IdentityKey::Generate().public_key()).substr(0, 16); }
  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  std::string Put(const std::string& name, const std::string& text, mode_t mode) const {
    std::ofstream(Path(name), std::ios::trunc) << text;
    chmod(Path(name).c_str(), mode);
    return Path(name);
  }
  std::filesystem::path folder_;
};

TEST(IdentityKeyTest, ItsTextIsItself) {
  const IdentityKey key = IdentityKey::Generate();
  const auto again = IdentityKey::FromText(key.ToText());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->public_key(), key.public_key());
  EXPECT_EQ(again->curve().secret_key, key.curve().secret_key);
  EXPECT_NE(IdentityKey::Generate().public_key(), key.public_key());
}

TEST(IdentityKeyTest, ItsCurveFormIsAPair) {
  const CurvePair pair = IdentityKey::Generate().curve();
  std::string derived(crypto_box_PUBLICKEYBYTES, '\0');
  crypto_scalarmult_base(reinterpret_cast<unsigned char*>(derived.data()),
                         reinterpret_cast<const unsigned char*>(pair.secret_key.data()));
  EXPECT_EQ(derived, pair.public_key);
}

TEST(IdentityKeyTest, GarbageIsNoKey) {
  for (const std::string text :
       {"", "# only a comment\n", "baton-secret-key", "baton-secret-key 12", "secret aa",
        "baton-secret-key zz00000000000000000000000000000000000000000000000000000000000000",
        "baton-secret-key 0000000000000000000000000000000000000000000000000000000000000000 more"}) {
    const auto key = IdentityKey::FromText(text);
    EXPECT_TRUE(absl::IsInvalidArgument(key.status())) << text;
    EXPECT_THAT(key.status().message(), HasSubstr("baton-secret-key HEX"));
  }
}

TEST(AllowedKeysTest, FindsByCurveFormAndName) {
  const IdentityKey a = IdentityKey::Generate(), b = IdentityKey::Generate();
  const AllowedKeys list = ListOf({{a, "decode-0 # and why"}, {b, ""}});
  ASSERT_NE(list.FindCurve(a.curve().public_key), nullptr);
  EXPECT_EQ(list.FindCurve(a.curve().public_key)->name, "decode-0");
  EXPECT_EQ(list.FindCurve(b.curve().public_key)->name, KeyText(b.public_key())) << "no name: its text";
  EXPECT_EQ(list.FindCurve(a.public_key()), nullptr);
  EXPECT_TRUE(list.HasName("decode-0"));
  EXPECT_FALSE(list.HasName("decode-1"));
}

TEST(AllowedKeysTest, ABadLineIsNamed) {
  const std::string good = KeyText(IdentityKey::Generate().public_key());
  const std::string none(64, '0');  // a point of small order
  for (const auto& [line, why] :
       std::vector<std::pair<std::string, std::string>>{{"abc name", "64 hexadecimal digits"},
                                                        {good + " two names", "\"KEY NAME\" is wanted"},
                                                        {good, "listed twice"},
                                                        {good + " " + std::string(101, 'n'), "at most 100"},
                                                        {none, "no public key"}}) {
    const auto list = AllowedKeys::FromText(absl::StrCat(good, " first\n\n", line, "\n"));
    EXPECT_THAT(std::string(list.status().message()), HasSubstr("line 3")) << line;
    EXPECT_THAT(std::string(list.status().message()), HasSubstr(why)) << line;
  }
  EXPECT_TRUE(AllowedKeys::FromText("")->keys().empty());
}

TEST(AllowedKeysTest, OnlyAListedIdentityVouches) {
  const IdentityKey listed = IdentityKey::Generate(), stranger = IdentityKey::Generate();
  const AllowedKeys list = ListOf({{listed, "decode-0"}});
  const std::string server = CurvePair::Generate().public_key;
  EXPECT_EQ(*list.CheckVouched(listed.Vouch(server)), server);
  EXPECT_EQ(ServerKeyOf(listed.Vouch(server)), server);
  EXPECT_EQ(ServerKeyOf(server), server);
  EXPECT_THAT(std::string(list.CheckVouched(stranger.Vouch(server)).status().message()),
              HasSubstr("is not listed"));
  EXPECT_THAT(std::string(list.CheckVouched(server).status().message()), HasSubstr("no identity"));
  std::string forged = listed.Vouch(server);
  forged[0] ^= 1;  // another server key under the same signature
  EXPECT_THAT(std::string(list.CheckVouched(forged).status().message()), HasSubstr("decode-0"));
  for (size_t length = 0; length < forged.size(); ++length)
    EXPECT_FALSE(list.CheckVouched(forged.substr(0, length)).ok());
}

TEST_F(KeyFilesTest, WrittenForThisUserOnlyAndReadBack) {
  const IdentityKey key = IdentityKey::Generate();
  ASSERT_TRUE(WriteKeyFile(Path("a.key"), key, false).ok());
  EXPECT_EQ(ReadKeyFile(Path("a.key"))->public_key(), key.public_key());
  EXPECT_EQ(std::filesystem::status(Path("a.key")).permissions(), std::filesystem::perms(0600));
  EXPECT_TRUE(absl::IsAlreadyExists(WriteKeyFile(Path("a.key"), key, false)));
  EXPECT_TRUE(WriteKeyFile(Path("a.key"), IdentityKey::Generate(), true).ok());
  EXPECT_NE(ReadKeyFile(Path("a.key"))->public_key(), key.public_key());
  ASSERT_TRUE(WriteAllowedKeys(Path("allowed"), ListOf({{key, "a"}}).keys()).ok());
  EXPECT_EQ(ReadAllowedKeys(Path("allowed"))->keys()[0].name, "a");
  EXPECT_FALSE(WriteKeyFile(Path("no-folder/a.key"), key, false).ok());
  int files = 0;
  for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(folder_)) ++files;
  EXPECT_EQ(files, 2) << "nothing else is left";
}

TEST_F(KeyFilesTest, WhatOthersMayTouchIsRefusedWithWhatToDo) {
  const std::string text = IdentityKey::Generate().ToText();
  for (const mode_t mode : {0644, 0640, 0604, 0620}) {
    const auto key = ReadKeyFile(Put("a.key", text, mode));
    EXPECT_TRUE(absl::IsPermissionDenied(key.status())) << mode;
    EXPECT_THAT(std::string(key.status().message()), HasSubstr("chmod 600"));
  }
  EXPECT_TRUE(ReadKeyFile(Put("a.key", text, 0400)).ok());
  const auto list = ReadAllowedKeys(Put("allowed", "", 0664));
  EXPECT_THAT(std::string(list.status().message()), HasSubstr("chmod go-w"));
  EXPECT_TRUE(ReadAllowedKeys(Put("allowed", "", 0644)).ok());
}

TEST_F(KeyFilesTest, WhatIsNoKeyFileIsRefusedByName) {
  EXPECT_TRUE(absl::IsNotFound(ReadKeyFile(Path("none")).status()));
  EXPECT_THAT(std::string(ReadKeyFile(folder_.string()).status().message()), HasSubstr("is no file"));
  const auto garbage = ReadKeyFile(Put("a.key",
                                       "\x7f"
                                       "ELF",
                                       0600));
  EXPECT_THAT(std::string(garbage.status().message()), HasSubstr("a.key holds no key"));
  const auto large = ReadKeyFile(Put("a.key", std::string(1 << 20, 'x'), 0600));
  EXPECT_THAT(std::string(large.status().message()), HasSubstr("more than"));
  const auto list = ReadAllowedKeys(Put("allowed", "hello\n", 0644));
  EXPECT_THAT(std::string(list.status().message()), HasSubstr("allowed, line 1"));
}

}  // namespace
}  // namespace baton
