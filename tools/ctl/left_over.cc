#include "tools/ctl/left_over.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/status_macros.h"
#include "tools/ctl/files.h"

namespace baton::ctl {
namespace {

namespace fs = std::filesystem;

// From the outermost that must be private: the state root is two levels below what the user chose.
std::vector<std::string> PrivateFolders(const Surroundings& here, const ClusterFolder& folder) {
  return {fs::path(here.state_root).parent_path().string(), here.state_root, folder.path()};
}

}  // namespace

absl::StatusOr<FolderLock> FolderLock::Take(const ClusterFolder& folder) {
  const int fd = open(folder.Lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", folder.Lock()));
  FolderLock lock(fd);
  struct stat info {};
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &info) != 0 || info.st_nlink == 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "a cluster named '", fs::path(folder.path()).filename().string(), "' is running already"));
  }
  return lock;
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) close(fd_);
}

absl::Status MakeFolder(const Surroundings& here, const ClusterFolder& folder) {
  for (const std::string& path : PrivateFolders(here, folder)) BATON_RETURN_IF_ERROR(MakePrivateFolder(path));
  return absl::OkStatus();
}

absl::StatusOr<ClusterRecord> FindCluster(const Surroundings& here, const ClusterFolder& folder) {
  for (const std::string& path : PrivateFolders(here, folder))
    BATON_RETURN_IF_ERROR(CheckPrivateFolder(path));
  return ReadRecord(folder);
}

absl::StatusOr<int> StopLeftOver(const ClusterRecord& record, absl::Duration grace) {
  constexpr absl::Duration kTick = absl::Milliseconds(50), kDying = absl::Seconds(5);
  std::vector<ProcessId> left = {record.supervisor};
  for (const ProcessRecord& process : record.processes) left.push_back(process.id);
  left.erase(std::remove_if(left.begin(), left.end(), [](const ProcessId& id) { return !IsAlive(id); }),
             left.end());
  const SteadyClock clock;
  const MonoTime deadline = clock.Now() + grace;
  const auto any_alive = [&left] { return std::any_of(left.begin(), left.end(), IsAlive); };
  for (const ProcessId& process : left) Signal(process, SIGTERM);
  while (any_alive() && clock.Now() < deadline) WaitForSignal({}, kTick);
  for (const ProcessId& process : left) Signal(process, SIGKILL);
  while (any_alive() && clock.Now() < deadline + kDying) WaitForSignal({}, kTick);
  for (const ProcessId& process : left) {
    if (IsAlive(process))
      return absl::InternalError(absl::StrCat("process ", process.pid, " cannot be stopped"));
  }
  return static_cast<int>(left.size());
}

absl::Status RemoveFolder(const Surroundings& here, const ClusterFolder& folder, const ProcessId& of) {
  BATON_ASSIGN_OR_RETURN(const FolderLock lock, FolderLock::Take(folder));
  if (const auto record = ReadRecord(folder); record.ok() && !(record->supervisor == of))
    return absl::FailedPreconditionError(
        "a cluster of the same name was started meanwhile: it is left alone");
  std::error_code error, ignored;
  fs::remove_all(folder.path(), error);
  fs::remove(here.state_root, ignored);
  fs::remove(fs::path(here.state_root).parent_path(), ignored);
  if (error) return absl::InternalError(absl::StrCat("cannot remove ", folder.path(), ": ", error.message()));
  return absl::OkStatus();
}

}  // namespace baton::ctl
