// baton-ctl: starts, watches and stops a cluster on this machine, and talks to it. `./baton` runs it.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/files.h"
#include "tools/ctl/supervisor.h"

namespace baton::ctl {

int Fail(const std::string& what) {
  fprintf(stderr, "baton: %s\n", what.c_str());
  return 1;
}

namespace {

Surroundings Look() {
  Surroundings here;
  std::error_code error;
  const char* runtime = getenv("XDG_RUNTIME_DIR");
  const bool usable = runtime != nullptr && access(runtime, W_OK) == 0;
  const std::string base = usable ? runtime : std::filesystem::temp_directory_path(error).string();
  here.state_root = absl::StrCat(base, "/baton-", getuid());
  here.self = std::filesystem::read_symlink("/proc/self/exe", error).string();
  here.terminal = isatty(STDOUT_FILENO) == 1;
  return here;
}

// The supervisor process of a cluster: `baton-ctl supervise FOLDER`, started by `up`.
int Supervise(const std::string& path) {
  const ClusterFolder folder(path);
  const auto text = ReadFile(folder.Spec());
  const auto spec = text.ok() ? ParseSpec(*text) : text.status();
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
  if (command == "logs")
    return RunParsed(command, ParseLogs(rest), [&](const LogsOptions& logs) { return Logs(here, logs); });
  if (command == "chat")
    return RunParsed(command, ParseChat(rest), [&](const ChatOptions& chat) { return Chat(here, chat); });
  if (command == "supervise" && rest.size() == 1) return Supervise(rest[0]);
  return Fail("this program is run by ./baton (./baton help)");
}

}  // namespace
}  // namespace baton::ctl

int main(int argc, char** argv) {
  return baton::ctl::Main(std::vector<std::string>(argv + 1, argv + argc));
}
