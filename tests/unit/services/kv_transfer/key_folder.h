#pragma once

// A folder of key files for a test's parties, gone afterwards.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/curve_keys.h"
#include "common/ids.h"
#include "services/kv_transfer/transport/zmq_socket.h"

namespace baton::testing {

class KeyFolder {
 public:
  KeyFolder()
      : path_(std::filesystem::temp_directory_path() / absl::StrCat("baton-", RandomId128().ToHex())) {
    std::filesystem::create_directory(path_);
    List({});
  }
  ~KeyFolder() { std::filesystem::remove_all(path_); }
  KeyFolder(const KeyFolder&) = delete;
  KeyFolder& operator=(const KeyFolder&) = delete;

  std::string KeyFile(const std::string& who) const { return (path_ / (who + ".key")).string(); }
  std::string ListFile() const { return (path_ / "allowed").string(); }

  // A new key, in its file and not on the list.
  AllowedKey New(const std::string& who) const { return Use(IdentityKey::Generate(), who); }
  AllowedKey Use(const IdentityKey& key, const std::string& who) const {
    EXPECT_TRUE(WriteKeyFile(KeyFile(who), key, true).ok());
    return *ParseAllowedKey(KeyText(key.public_key()), who);
  }
  void List(const std::vector<AllowedKey>& keys) const {
    EXPECT_TRUE(WriteAllowedKeys(ListFile(), keys).ok());
  }

  // Of a process with that key file.
  ZmqOptions Options(const std::string& who) const {
    ZmqOptions options = Life();
    options.key_file = KeyFile(who);
    options.allowed_keys_file = ListFile();
    return options;
  }
  // Of one that has keys of this life only.
  static ZmqOptions Life() {
    const CurvePair pair = CurvePair::Generate();
    ZmqOptions options;
    options.curve_public_key = pair.public_key;
    options.curve_secret_key = pair.secret_key;
    return options;
  }

 private:
  const std::filesystem::path path_;
};

}  // namespace baton::testing
