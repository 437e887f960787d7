#pragma once

// Who may touch a cluster's folder, and what is done about a cluster whose supervisor is gone.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/ctl/cluster_state.h"
#include "tools/ctl/commands.h"

namespace baton::ctl {

// The lock of a cluster's folder, held until the end of its scope.
class FolderLock {
 public:
  // FAILED_PRECONDITION if another process holds it.
  static absl::StatusOr<FolderLock> Take(const ClusterFolder& folder);
  FolderLock(FolderLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  ~FolderLock();

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

// Creates the folder below the state root. PERMISSION_DENIED if others could put something into either.
absl::Status MakeFolder(const Surroundings& here, const ClusterFolder& folder);

// The record of the cluster of that name, from folders that only this user writes to. NOT_FOUND: none runs;
// PERMISSION_DENIED: what is there is not to be trusted.
absl::StatusOr<ClusterRecord> FindCluster(const Surroundings& here, const ClusterFolder& folder);

// Asks every process of the record that lives, the supervisor too, to end, and kills after `grace`. The
// number of those that lived; INTERNAL names one that cannot be stopped. The processes need not be children.
absl::StatusOr<int> StopLeftOver(const ClusterRecord& record, absl::Duration grace);

// Removes the folder, and the state root if it was the last. FAILED_PRECONDITION if a supervisor other than
// `of` has taken it over.
absl::Status RemoveFolder(const Surroundings& here, const ClusterFolder& folder, const ProcessId& of);

}  // namespace baton::ctl
