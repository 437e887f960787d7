#include <signal.h>

#include <cstdio>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/clock.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/files.h"
#include "tools/ctl/left_over.h"

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
  absl::StatusOr<ClusterRecord> record = FindCluster(here, folder);
  if (absl::IsPermissionDenied(record.status())) return Fail(std::string(record.status().message()));
  if (record.ok()) {
    const ProcessId supervisor = record->supervisor;
    StopSupervisor(supervisor, folder, grace);
    // The supervisor replaces its record while it stops; what it could not stop, or left behind when it was
    // killed, ends here.
    record = ReadRecord(folder);
    const auto stopped = record.ok() ? StopLeftOver(*record, grace) : 0;
    if (!stopped.ok()) return Fail(std::string(stopped.status().message()));
  }
  const absl::Status removed = RemoveFolder(here, folder, record.ok() ? record->supervisor : ProcessId{});
  if (!removed.ok()) return Fail(std::string(removed.message()));
  absl::PrintF("baton: stopped; nothing is left but the build and the caches\n");
  return 0;
}

}  // namespace baton::ctl
