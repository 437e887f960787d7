// baton-ctl: starts, watches and stops a cluster on this machine, and talks to it. `./baton` runs it.

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tools/ctl/api_key_commands.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/keys.h"
#include "tools/ctl/supervisor.h"

namespace baton::ctl {
namespace {

// The same in a login session and under cron, and in no folder that others share.
std::string StateHome() {
  const char* chosen = getenv("XDG_STATE_HOME");
  if (chosen != nullptr && chosen[0] == '/') return chosen;
  const char* home = getenv("HOME");
  const passwd* user = home == nullptr ? getpwuid(getuid()) : nullptr;
  return absl::StrCat(home != nullptr ? home : user != nullptr ? user->pw_dir : "", "/.local/state");
}

// A home may be mounted on several machines; what runs on one means nothing on another.
std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 && name[0] != '\0' ? name : "localhost";
}

Surroundings Look() {
  Surroundings here;
  std::error_code error;
  here.state_root = absl::StrCat(StateHome(), "/baton/", HostName());
  here.self = std::filesystem::read_symlink("/proc/self/exe", error).string();
  here.terminal = isatty(STDOUT_FILENO) == 1;
  if (const char* key = getenv("BATON_API_KEY")) here.api_key = key;
  return here;
}

// The supervisor process of a cluster: `baton-ctl supervise FOLDER SPEC`, started by `up`. Only the one that
// gets the folder's lock writes its spec there.
int Supervise(const std::string& path, const std::string& text) {
  const ClusterFolder folder(path);
  const auto spec = ParseSpec(text);
  if (!spec.ok()) return Fail(std::string(spec.status().message()));
  auto supervisor = Supervisor::Create(folder, *spec);
  if (!supervisor.ok()) return Fail(std::string(supervisor.status().message()));
  const absl::Status ended = supervisor->Run(absl::Seconds(20));
  return ended.ok() ? 0 : Fail(std::string(ended.message()));
}

// Runs `command` on what `parsed` holds, or says what is wrong with the words.
template <typename Options, typename Command>
int RunParsed(const std::string& name, const absl::StatusOr<Options>& parsed, Command command) {
  if (!parsed.ok()) return Fail(absl::StrCat(parsed.status().message(), " (./baton ", name, " --help)"));
  return command(*parsed);
}

int Main(const std::vector<std::string>& words) {
  const Surroundings here = Look();
  const std::string command = words.empty() ? "" : words[0];
  const Words rest = Words(words).subspan(std::min<size_t>(1, words.size()));
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  if (command == "up")
    return RunParsed(command, ParseUp(rest, cores), [&](const UpOptions& up) { return Up(here, up); });
  if (command == "down")
    return RunParsed(command, ParseDown(rest), [&](const DownOptions& down) { return Down(here, down); });
  if (command == "status")
    return RunParsed(command, ParseStatus(rest), [&](const StatusOptions& s) { return Status(here, s); });
  if (command == "streams")
    return RunParsed(command, ParseStreams(rest), [&](const StatusOptions& s) { return Streams(here, s); });
  if (command == "migrate")
    return RunParsed(command, ParseMigrate(rest), [&](const MigrateOptions& m) { return Migrate(here, m); });
  if (command == "logs")
    return RunParsed(command, ParseLogs(rest), [&](const LogsOptions& logs) { return Logs(here, logs); });
  if (command == "chat")
    return RunParsed(command, ParseChat(rest), [&](const ChatOptions& chat) { return Chat(here, chat); });
  if (command == "keys" && !rest.empty() && rest[0] == "api")
    return RunParsed(command, ParseApiKeys(rest.subspan(1)), [&](const ApiKeysOptions& keys) {
      const absl::Status done = ChangeApiKeys(keys);
      return done.ok() ? 0 : Fail(std::string(done.message()));
    });
  if (command == "keys")
    return RunParsed(command, ParseKeys(rest), [&](const KeysOptions& keys) {
      const absl::Status done = Keys(here, keys);
      return done.ok() ? 0 : Fail(std::string(done.message()));
    });
  if (command == "supervise" && rest.size() == 2) return Supervise(rest[0], rest[1]);
  return Fail("this program is run by ./baton (./baton help)");
}

}  // namespace
}  // namespace baton::ctl

int main(int argc, char** argv) {
  return baton::ctl::Main(std::vector<std::string>(argv + 1, argv + argc));
}
