#pragma once

// Runs the processes of one cluster: starts them, tells the router where the workers are, starts again what
// dies, and at the end drains and stops all. One thread; owns the cluster's folder while it lives.

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "tools/ctl/cluster_state.h"
#include "tools/ctl/left_over.h"
#include "tools/ctl/restart_policy.h"

namespace baton::ctl {

// One process of a cluster and how it is started.
struct ProcessPlan {
  std::string name, role;
  std::vector<std::string> command;
};

// The router first. Every process listens on a free port and reports it in its address file; only the
// router's is given.
std::vector<ProcessPlan> PlanCluster(const ClusterSpec& spec, const ClusterFolder& folder);

class Supervisor {
 public:
  // Takes the folder's lock and writes its spec. FAILED_PRECONDITION if another supervisor holds the lock.
  static absl::StatusOr<Supervisor> Create(const ClusterFolder& folder, const ClusterSpec& spec);
  Supervisor(Supervisor&&) = default;

  // Until SIGTERM or SIGINT: then the router drains first, the workers after it; a second signal, or the
  // grace time, kills. Processes left over from a supervisor that died are stopped before the start.
  absl::Status Run(absl::Duration grace);

 private:
  struct Child {
    ProcessPlan plan;
    ProcessRecord record;
    RestartPolicy policy;
    MonoTime start_at;      // when restarting
    bool reported = false;  // its address file was read
  };

  Supervisor(FolderLock lock, const ClusterFolder& folder, const ClusterSpec& spec);

  void Start(Child& child);
  void Reap();
  void OnDeath(Child& child, int wait_status);
  void RestartDue();
  void ReadAddresses();
  void Publish();
  void StopAll(absl::Duration grace);
  bool StopRole(bool router, MonoTime deadline);
  void Say(const std::string& what) const;

  FolderLock lock_;
  ClusterFolder folder_;
  SteadyClock clock_;
  std::vector<Child> children_;
  std::string workers_written_;
  bool changed_ = true;
  bool stopping_ = false;
};

}  // namespace baton::ctl
