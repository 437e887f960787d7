#include "tools/ctl/keys.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/curve_keys.h"
#include "common/status_macros.h"
#include "tools/ctl/arguments.h"
#include "tools/ctl/files.h"
#include "tools/ctl/left_over.h"
#include "tools/ctl/process.h"
#include "tools/ctl/table.h"

namespace baton::ctl {
namespace {

namespace fs = std::filesystem;
using Verb = KeysOptions::Verb;

constexpr char kSuffix[] = ".key";
constexpr std::pair<const char*, Verb> kVerbs[] = {
    {"new", Verb::kNew}, {"list", Verb::kList}, {"rotate", Verb::kRotate}, {"remove", Verb::kRemove}};

// One `baton keys` at a time works in a folder.
class Turn {
 public:
  explicit Turn(const std::string& list)
      : fd_(open(FolderOf(list).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    taken_ = fd_ >= 0 && flock(fd_, LOCK_EX | LOCK_NB) == 0;
  }
  ~Turn() {
    if (fd_ >= 0) close(fd_);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  absl::Status Check(const std::string& list) const {
    if (taken_) return absl::OkStatus();
    return absl::FailedPreconditionError(
        fd_ < 0 ? absl::StrCat("there is no folder ", FolderOf(list))
                : absl::StrCat("another ./baton keys works in ", FolderOf(list)));
  }

 private:
  static std::string FolderOf(const std::string& list) {
    const std::string parent = fs::path(list).parent_path().string();
    return parent.empty() ? "." : parent;
  }
  int fd_;
  bool taken_ = false;
};

std::string NameOf(const std::string& key_file) {
  return std::string(absl::StripSuffix(fs::path(key_file).filename().string(), kSuffix));
}

absl::StatusOr<std::vector<AllowedKey>> ReadList(const std::string& list, bool may_lack) {
  const auto keys = ReadAllowedKeys(list);
  if (absl::IsNotFound(keys.status()) && may_lack) return std::vector<AllowedKey>();
  if (!keys.ok()) return keys.status();
  return keys->keys();
}

absl::StatusOr<AllowedKey> EntryOf(const IdentityKey& key, const std::string& name) {
  return ParseAllowedKey(KeyText(key.public_key()), name);
}

absl::Status New(const std::vector<std::string>& files, const std::string& list) {
  BATON_ASSIGN_OR_RETURN(std::vector<AllowedKey> keys, ReadList(list, true));
  for (const std::string& file : files) {
    const IdentityKey key = IdentityKey::Generate();
    BATON_ASSIGN_OR_RETURN(const AllowedKey entry, EntryOf(key, NameOf(file)));
    const absl::Status written = WriteKeyFile(file, key, false);
    if (absl::IsAlreadyExists(written))
      return absl::AlreadyExistsError(
          absl::StrCat(file, " exists: ./baton keys rotate ", file, " replaces it"));
    BATON_RETURN_IF_ERROR(written);
    keys.push_back(entry);
    BATON_RETURN_IF_ERROR(WriteAllowedKeys(list, keys));
    absl::PrintF("baton: made %s, listed in %s as %s\n", file, list, entry.name);
  }
  return absl::OkStatus();
}

absl::Status List(const std::string& list) {
  BATON_ASSIGN_OR_RETURN(const std::vector<AllowedKey> keys, ReadList(list, false));
  std::vector<std::vector<std::string>> rows = {{"NAME", "KEY", "WIRE KEY"}};
  for (const AllowedKey& key : keys)
    rows.push_back({key.name, KeyText(key.public_key), KeyText(key.curve_key)});
  absl::PrintF("%s", FormatTable(rows));
  return absl::OkStatus();
}

// Until every process has looked at its files again. Cancelled: the user does not want to wait.
absl::Status Wait(int seconds, const std::string& left_as) {
  if (seconds == 0 || WaitForSignal({SIGINT, SIGTERM}, absl::Seconds(seconds)) == 0) return absl::OkStatus();
  return absl::CancelledError(absl::StrCat("stopped; ", left_as));
}

absl::Status Rotate(const std::vector<std::string>& files, const std::string& list, int wait_s,
                    bool keep_old) {
  BATON_ASSIGN_OR_RETURN(std::vector<AllowedKey> keys, ReadList(list, false));
  std::vector<IdentityKey> fresh;
  std::set<std::string> old;
  for (const std::string& file : files) {
    BATON_ASSIGN_OR_RETURN(const IdentityKey key, ReadKeyFile(file));
    const auto listed = std::find_if(keys.begin(), keys.end(), [&](const AllowedKey& entry) {
      return entry.public_key == key.public_key();
    });
    if (listed == keys.end())
      return absl::FailedPreconditionError(absl::StrCat("the key in ", file, " is not listed in ", list));
    old.insert(key.public_key());
    fresh.push_back(IdentityKey::Generate());
    BATON_ASSIGN_OR_RETURN(AllowedKey entry, EntryOf(fresh.back(), std::string(listed->name)));
    keys.push_back(std::move(entry));
  }
  BlockSignals({SIGINT, SIGTERM});
  BATON_RETURN_IF_ERROR(WriteAllowedKeys(list, keys));
  absl::PrintF("baton: listed beside the old keys: %d new\n", files.size());
  BATON_RETURN_IF_ERROR(Wait(wait_s, "the new keys are listed and not in use: ./baton keys list"));
  for (size_t i = 0; i < files.size(); ++i) BATON_RETURN_IF_ERROR(WriteKeyFile(files[i], fresh[i], true));
  absl::PrintF("baton: the new keys are in their files\n");
  if (keep_old) return absl::OkStatus();
  BATON_RETURN_IF_ERROR(Wait(wait_s, "the old keys are still listed: ./baton keys remove takes them off"));
  keys.erase(std::remove_if(keys.begin(), keys.end(),
                            [&](const AllowedKey& key) { return old.count(key.public_key) > 0; }),
             keys.end());
  BATON_RETURN_IF_ERROR(WriteAllowedKeys(list, keys));
  absl::PrintF("baton: the old keys are off the list\n");
  return absl::OkStatus();
}

absl::Status Remove(const std::vector<std::string>& words, const std::string& list) {
  BATON_ASSIGN_OR_RETURN(std::vector<AllowedKey> keys, ReadList(list, false));
  for (const std::string& word : words) {
    const auto is_meant = [&](const AllowedKey& key) {
      return key.name == word || KeyText(key.public_key) == word;
    };
    const auto kept = std::remove_if(keys.begin(), keys.end(), is_meant);
    if (kept == keys.end())
      return absl::NotFoundError(absl::StrCat(list, " has no key or name '", word, "'"));
    keys.erase(kept, keys.end());
  }
  BATON_RETURN_IF_ERROR(WriteAllowedKeys(list, keys));
  absl::PrintF("baton: removed; their connections end within seconds. Still listed: %d\n", keys.size());
  return absl::OkStatus();
}

// The key files of a cluster that runs here.
std::vector<std::string> KeyFilesIn(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == kSuffix) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

absl::StatusOr<KeysOptions> ParseKeys(Words words) {
  BATON_ASSIGN_OR_RETURN(const Arguments arguments,
                         Arguments::Parse(words, {"allowed", "name", "wait"}, {"keep-old"}));
  KeysOptions options;
  options.words = arguments.positional();
  const auto verb = options.words.empty()
                        ? std::end(kVerbs)
                        : std::find_if(std::begin(kVerbs), std::end(kVerbs),
                                       [&](const auto& known) { return options.words[0] == known.first; });
  if (verb == std::end(kVerbs))
    return absl::InvalidArgumentError("one of new, list, rotate, remove is wanted");
  options.verb = verb->second;
  options.words.erase(options.words.begin());
  if (options.words.empty() && (options.verb == Verb::kNew || options.verb == Verb::kRemove))
    return absl::InvalidArgumentError(options.verb == Verb::kNew
                                          ? "name a FILE for each key"
                                          : "name the keys to remove, or whose they are");
  if (!options.words.empty() && options.verb == Verb::kList)
    return absl::InvalidArgumentError("list takes no words: the list is named by --allowed");
  options.list = arguments.Text("allowed", "");
  options.keep_old = arguments.Has("keep-old");
  BATON_ASSIGN_OR_RETURN(options.wait_s, arguments.Number("wait", options.wait_s, 0, 3600));
  const std::vector<std::string> named = {"--name", arguments.Text("name", "default")};
  BATON_ASSIGN_OR_RETURN(const StatusOptions cluster, ParseStatus(named));
  options.cluster = cluster.name;
  return options;
}

absl::Status Keys(const Surroundings& here, const KeysOptions& options) {
  const std::string cluster = ClusterKeys(ClusterFolder(here.state_root, options.cluster));
  std::vector<std::string> words = options.words;
  std::string list = options.list;
  const bool names_files = options.verb == Verb::kNew || options.verb == Verb::kRotate;
  if (list.empty() && names_files && !words.empty())
    list = (fs::path(words[0]).parent_path() / "allowed").string();
  if (options.verb == Verb::kRotate && words.empty()) words = KeyFilesIn(cluster);
  if (list.empty()) list = ListOf(cluster);
  const bool of_cluster = list == ListOf(cluster);
  if (of_cluster && (!fs::exists(list) || (options.verb == Verb::kRotate && words.empty()))) {
    return absl::NotFoundError(absl::StrCat("no cluster named '", options.cluster,
                                            "' runs here with keys of its own: name a list with --allowed"));
  }
  if (options.verb == Verb::kList) return List(list);
  const Turn turn(list);
  BATON_RETURN_IF_ERROR(turn.Check(list));
  if (options.verb == Verb::kNew) return New(words, list);
  if (options.verb == Verb::kRemove) return Remove(words, list);
  return Rotate(words, list, options.wait_s, options.keep_old);
}

std::string ClusterKeys(const ClusterFolder& cluster) {
  return cluster.path() + "/keys";
}

std::string KeyFileOf(const std::string& folder, const std::string& name) {
  return absl::StrCat(folder, "/", name, kSuffix);
}

std::string ListOf(const std::string& folder) {
  return folder + "/allowed";
}

absl::Status MakeClusterKeys(const std::string& folder, const std::vector<std::string>& names) {
  std::error_code error;
  fs::remove_all(folder, error);
  BATON_RETURN_IF_ERROR(MakePrivateFolder(folder));
  std::vector<AllowedKey> keys;
  for (const std::string& name : names) {
    const IdentityKey key = IdentityKey::Generate();
    BATON_RETURN_IF_ERROR(WriteKeyFile(KeyFileOf(folder, name), key, false));
    BATON_ASSIGN_OR_RETURN(AllowedKey entry, EntryOf(key, name));
    keys.push_back(std::move(entry));
  }
  return WriteAllowedKeys(ListOf(folder), keys);
}

}  // namespace baton::ctl
