#include <signal.h>

#include <cstdio>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/clock.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/files.h"
#include "tools/ctl/supervisor.h"

namespace baton::ctl {
namespace {

// Shows what the supervisor says; a second SIGTERM, after the grace time, makes it kill.
void StopSupervisor(const ProcessId& supervisor, const ClusterFolder& folder, absl::Duration grace) {
  const SteadyClock clock;
  FileTail log(folder.Log("supervisor"), FileSize(folder.Log("supervisor")));
  const MonoTime patience = clock.Now() + grace;
  bool hurried = false;
  Signal(supervisor, SIGTERM);
  while (IsAlive(supervisor) && clock.Now() < patience + absl::Seconds(10)) {
    absl::PrintF("%s", log.ReadNew());
    fflush(stdout);
    if (!hurried && clock.Now() >= patience) {
      Signal(supervisor, SIGTERM);
      hurried = true;
    }
    WaitForSignal({}, absl::Milliseconds(50));
  }
  absl::PrintF("%s", log.ReadNew());
}

}  // namespace

int Down(const Surroundings& here, const DownOptions& options) {
  const ClusterFolder folder(here.state_root, options.name);
  if (!std::filesystem::exists(folder.path())) {
    absl::PrintF("baton: no cluster named '%s' runs here\n", options.name);
    return 0;
  }
  const absl::Duration grace = absl::Seconds(options.grace_s);
  if (const auto record = ReadRecord(folder); record.ok()) {
    StopSupervisor(record->supervisor, folder, grace);
  }
  // The supervisor replaces its record while it stops; what it could not stop, or left behind when it was
  // killed, ends here.
  if (const auto record = ReadRecord(folder); record.ok()) {
    std::vector<ProcessId> left = {record->supervisor};
    for (const ProcessRecord& process : record->processes) left.push_back(process.id);
    StopProcesses(left, grace);
    for (const ProcessId& process : left) {
      if (IsAlive(process)) return Fail(absl::StrCat("process ", process.pid, " cannot be stopped"));
    }
  }
  RemoveFolder(here, folder);
  absl::PrintF("baton: stopped; nothing is left but the build and the caches\n");
  return 0;
}

void RemoveFolder(const Surroundings& here, const ClusterFolder& folder) {
  std::error_code ignored;
  std::filesystem::remove_all(folder.path(), ignored);
  std::filesystem::remove(here.state_root, ignored);
}

}  // namespace baton::ctl
