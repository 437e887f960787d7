#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/files.h"
#include "tools/ctl/left_over.h"
#include "tools/ctl/readiness.h"
#include "tools/ctl/server.h"
#include "tools/ctl/table.h"

namespace baton::ctl {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);
constexpr absl::Duration kLeftOverGrace = absl::Seconds(5);
const std::vector<int> kStopSignals = {SIGINT, SIGTERM, SIGHUP};

// Ok if a server may listen there now: found out before any process starts, to say it well.
absl::Status CheckPort(const std::string& host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError(absl::StrCat("--listen must be an IPv4 address, not '", host, "'"));
  }
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  const int error = errno;
  close(fd);
  if (free) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("cannot listen on ", host, ":", port, " (",
                                                    strerror(error),
                                                    "): choose another with --port, or 0 for any free one"));
}

void PrintEndpoints(const std::string& url, const std::string& model, const ClusterRecord& record) {
  std::vector<std::vector<std::string>> rows = {{"PROCESS", "PID", "GRPC", "HTTP"}};
  for (const ProcessRecord& process : record.processes) {
    rows.push_back({process.name, absl::StrCat(process.id.pid), process.grpc.empty() ? "-" : process.grpc,
                    process.http});
  }
  absl::PrintF("\n%s\nOpenAI API:  %s/v1   (model %s)\nTry:         ./baton chat \"What is a relay race?\"\n",
               FormatTable(rows), url, model);
  absl::PrintF(
      "or:          curl -N %s/v1/chat/completions -H 'Content-Type: application/json' \\\n"
      "               -d "
      "'{\"model\":\"%s\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"Hello!\"}]}'\n",
      url, model);
  fflush(stdout);
}

// One live line on a terminal, a line at each change elsewhere.
class ProgressLine {
 public:
  explicit ProgressLine(bool terminal) : terminal_(terminal) {}

  void Show(const std::string& text, absl::Duration elapsed) {
    if (terminal_) {
      absl::PrintF("\r\033[Kbaton: %s (%d s)", Shorten(text, 100), absl::ToInt64Seconds(elapsed));
    } else if (text != shown_) {
      absl::PrintF("baton: %s\n", text);
    }
    shown_ = text;
    fflush(stdout);
  }

  void End() {
    if (terminal_) absl::PrintF("\r\033[K");
    fflush(stdout);
  }

 private:
  bool terminal_;
  std::string shown_;
};

enum class Wait { kReady, kFailed, kInterrupted };

Wait WaitUntilReady(const Surroundings& here, Readiness& readiness, const ClusterFolder& folder,
                    int timeout_s) {
  const SteadyClock clock;
  const MonoTime start = clock.Now();
  ProgressLine line(here.terminal);
  for (;;) {
    const absl::StatusOr<bool> ready = readiness.Look();
    const absl::Duration elapsed = clock.Now() - start;
    if (ready.ok() && *ready) {
      line.End();
      absl::PrintF("baton: ready after %.1f s\n", absl::ToDoubleSeconds(elapsed));
      return Wait::kReady;
    }
    if (!ready.ok() || elapsed > absl::Seconds(timeout_s)) {
      line.End();
      const std::string why =
          ready.ok() ? absl::StrCat("not ready after ", timeout_s, " s (--timeout): ", readiness.doing())
                     : std::string(ready.status().message());
      if (!readiness.died().empty()) {
        for (const std::string& text : LastLines(folder.Log(readiness.died()), 20))
          fprintf(stderr, "  %s\n", text.c_str());
      }
      Fail(absl::StrCat(why, ". The logs: ./baton logs; once the cause is gone, ./baton up again"));
      return Wait::kFailed;
    }
    line.Show(readiness.doing(), elapsed);
    if (WaitForSignal(kStopSignals, kTick) != 0) {
      line.End();
      return Wait::kInterrupted;
    }
  }
}

// Shows what the supervisor says until it has ended; passes on Ctrl-C.
void Accompany(const ProcessId& supervisor, const ClusterFolder& folder, int64_t log_offset) {
  FileTail log(folder.Log("supervisor"), log_offset);
  while (IsAlive(supervisor)) {
    absl::PrintF("%s", log.ReadNew());
    fflush(stdout);
    if (WaitForSignal(kStopSignals, kTick) != 0) Signal(supervisor, SIGTERM);
  }
  absl::PrintF("%s", log.ReadNew());
  fflush(stdout);
}

int ReportRunning(const ClusterFolder& folder, const ClusterSpec& wanted, const ClusterRecord& record,
                  const std::string& api_key) {
  const auto text = ReadFile(folder.Spec());
  if (!text.ok() || *text != ToJson(wanted)) {
    return Fail(absl::StrCat("a cluster named '", wanted.name,
                             "' is running with other options: ./baton down first, or --name another"));
  }
  const auto url = RouterUrl(record);
  const auto model = url.ok() ? ServedModel({.url = *url, .api_key = api_key}) : url.status();
  if (absl::IsUnauthenticated(model.status())) return Fail(std::string(model.status().message()));
  if (!model.ok()) return Fail("the cluster is running but does not answer yet: ./baton status");
  absl::PrintF("baton: running already\n");
  PrintEndpoints(*url, *model, record);
  return 0;
}

// After the supervisor's end. Fails if it was killed and so left processes: they are stopped now. The folder
// of a failed start stays, for its logs.
int CleanUp(const Surroundings& here, const ClusterFolder& folder, const ProcessId& supervisor, bool remove) {
  const auto record = ReadRecord(folder);
  if (record.ok() && !(record->supervisor == supervisor)) return 0;
  const bool killed = record.ok() && std::any_of(record->processes.begin(), record->processes.end(),
                                                 [](const ProcessRecord& p) { return p.id.pid != 0; });
  const auto stopped = record.ok() ? StopLeftOver(*record, kLeftOverGrace) : 0;
  absl::Status cleaned = stopped.status();
  if (cleaned.ok() && remove) cleaned = RemoveFolder(here, folder, supervisor);
  if (!cleaned.ok()) return Fail(absl::StrCat(cleaned.message(), ": ./baton down tries again"));
  return killed ? Fail("the supervisor was killed; what it left was stopped") : 0;
}

}  // namespace

int Up(const Surroundings& here, UpOptions options) {
  ClusterSpec& spec = options.spec;
  std::error_code error;
  spec.model = std::filesystem::absolute(spec.model, error).string();
  if (access(spec.model.c_str(), R_OK) != 0)
    return Fail(absl::StrCat("cannot read the model ", spec.model, ": ", strerror(errno)));
  spec.bin_dir = std::filesystem::path(here.self).parent_path().string();
  const ClusterFolder folder(here.state_root, spec.name);
  if (const absl::Status made = MakeFolder(here, folder); !made.ok())
    return Fail(std::string(made.message()));
  const auto running = ReadRecord(folder);
  if (running.ok() && IsAlive(running->supervisor))
    return ReportRunning(folder, spec, *running, here.api_key);
  absl::Status prepared = running.ok() ? StopLeftOver(*running, kLeftOverGrace).status() : absl::OkStatus();
  if (prepared.ok()) prepared = CheckPort(spec.host, spec.port);
  if (!prepared.ok()) return Fail(std::string(prepared.message()));

  BlockSignals(kStopSignals);
  const int64_t log_offset = FileSize(folder.Log("supervisor"));
  const auto supervisor = Spawn({{here.self, "supervise", folder.path(), ToJson(spec)},
                                 folder.Log("supervisor"),
                                 true,
                                 options.detach ? 0 : SIGTERM});
  if (!supervisor.ok()) return Fail(std::string(supervisor.status().message()));
  Readiness readiness(folder, *supervisor, here.api_key, [] { return SignalIsPending(kStopSignals); });
  const Wait outcome = WaitUntilReady(here, readiness, folder, options.timeout_s);
  if (outcome != Wait::kReady) {
    Signal(*supervisor, SIGTERM);
    Accompany(*supervisor, folder, FileSize(folder.Log("supervisor")));
    const bool interrupted = outcome == Wait::kInterrupted;
    return CleanUp(here, folder, *supervisor, interrupted) != 0 ? 1 : interrupted ? 130 : 1;
  }
  if (const auto record = ReadRecord(folder); record.ok())
    PrintEndpoints(readiness.url(), readiness.model(), *record);
  if (options.detach) {
    absl::PrintF("It keeps running: ./baton status, ./baton logs, ./baton down\n");
    return 0;
  }
  absl::PrintF("Ctrl-C drains and stops it.\n");
  Accompany(*supervisor, folder, log_offset);
  return CleanUp(here, folder, *supervisor, true);
}

}  // namespace baton::ctl
