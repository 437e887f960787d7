#pragma once

// `baton keys`: makes, lists, rotates and removes the keys by which processes let each other in
// (common/curve_keys.h).

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/options.h"

namespace baton::ctl {

struct KeysOptions {
  enum class Verb { kNew, kList, kRotate, kRemove };
  Verb verb = Verb::kList;
  std::vector<std::string> words;  // key files, or what to remove
  std::string list;                // of allowed keys; empty: beside the first file, or the cluster's
  std::string cluster = "default";
  bool keep_old = false;
  int wait_s = 3;
};

// INVALID_ARGUMENT says what is wrong with the words.
absl::StatusOr<KeysOptions> ParseKeys(Words words);
// Says what it does, and returns why it could not.
absl::Status Keys(const Surroundings& here, const KeysOptions& options);

// A key for each name in `folder`, which is made anew, and the list of them all.
absl::Status MakeClusterKeys(const std::string& folder, const std::vector<std::string>& names);
// Where MakeClusterKeys puts them.
std::string ClusterKeys(const ClusterFolder& cluster);
std::string KeyFileOf(const std::string& folder, const std::string& name);
std::string ListOf(const std::string& folder);

}  // namespace baton::ctl
