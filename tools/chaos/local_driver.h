#pragma once

// A cluster of processes on this machine, started as `./baton up` does. One thread of its own starts them,
// starts again what dies, and keeps the router's list of workers; it lives as long as the cluster, because
// the kernel ends the processes with the thread that started them.

#include <memory>
#include <optional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "tools/chaos/disk.h"
#include "tools/chaos/driver.h"
#include "tools/chaos/local_plan.h"

namespace baton::chaos {

class LocalDriver final : public Driver {
 public:
  // `log_dir` gets the processes' logs when they stop. The folder of the running cluster is a temporary one.
  LocalDriver(const ClusterShape& cluster, const LocalPaths& paths, std::string log_dir);
  ~LocalDriver() override;

  absl::Status Start(const std::function<void(const std::string&)>& doing,
                     const std::function<bool()>& given_up) override;
  absl::Status Stop() override;
  std::string url() const override;
  std::vector<ProcessView> Processes() override;
  absl::StatusOr<std::string> Get(const std::string& process, const std::string& path) override;
  absl::Status Signal(const std::string& process, int signal) override;
  absl::Status End(const std::string& process, int signal, absl::Duration restart_after,
                   absl::Duration kill_after) override;
  absl::Status SetNetwork(const std::vector<NetworkFault>& faults) override;
  absl::Status SetDisk(const std::string& process, const DiskFault& fault) override;

 private:
  struct Child {
    ctl::ProcessPlan plan;
    ctl::ProcessRecord record;
    MonoTime start_at;  // when it is down
    MonoTime kill_at = absl::InfiniteFuture();
    absl::Duration restart_after;  // at its next end
    bool reported = false;         // its addresses were read
  };

  absl::Status Prepare();
  absl::Status WaitUntilReady(const std::function<void(const std::string&)>& doing,
                              const std::function<bool()>& given_up);
  void Supervise();
  void StartChild(Child& child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Tick(MonoTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReadAddresses(Child& child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnEnd(Child& child, int wait_status, MonoTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Publish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Asks those of one side to end: the router first, the others after it; and kills at the deadline.
  void EndAll(bool router, absl::Duration grace) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Child*> Find(const std::string& process) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ClusterShape cluster_;
  const LocalPaths paths_;
  const std::string log_dir_;
  const SteadyClock clock_;
  ctl::ClusterFolder folder_;
  std::optional<Networks> networks_;
  std::unique_ptr<Disk> disk_;

  mutable absl::Mutex mutex_;
  std::vector<Child> children_ ABSL_GUARDED_BY(mutex_);
  bool changed_ ABSL_GUARDED_BY(mutex_) = true;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::string url_ ABSL_GUARDED_BY(mutex_);
  std::string workers_written_ ABSL_GUARDED_BY(mutex_);
  std::thread supervisor_;
};

}  // namespace baton::chaos
