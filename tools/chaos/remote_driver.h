#pragma once

// A cluster that others run: containers of podman or docker compose, or pods of Kubernetes. It is struck by
// commands (remote_commands.h). With dry_run they are only printed. Containers are started again once they
// have really ended: looked after by whoever asks for Processes().

#include <map>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "tools/chaos/driver.h"
#include "tools/chaos/remote_commands.h"

namespace baton::chaos {

class RemoteDriver final : public Driver {
 public:
  // Runs a command and gives what it wrote: RunCommand, or one that prints.
  using Run = std::function<absl::StatusOr<std::string>(const Command&)>;

  RemoteDriver(const Scenario& scenario, std::unique_ptr<RemoteCommands> commands, Run run,
               std::string log_dir);
  ~RemoteDriver() override;

  absl::Status Start(const std::function<void(const std::string&)>& doing,
                     const std::function<bool()>& given_up) override;
  absl::Status Stop() override;  // heals the network and fetches the logs: the cluster goes on
  std::string url() const override { return deployment_.url; }
  std::vector<ProcessView> Processes() override;
  absl::StatusOr<std::string> Get(const std::string& process, const std::string& path) override;
  absl::Status Signal(const std::string& process, int signal) override;
  absl::Status End(const std::string& process, int signal, absl::Duration restart_after,
                   absl::Duration kill_after) override;
  absl::Status SetNetwork(const std::vector<NetworkFault>& faults) override;
  absl::Status SetDisk(const std::string& process, const DiskFault& fault) override;

 private:
  absl::Status RunAll(const std::vector<Command>& commands);
  // What was ended here and is not up again.
  struct Ended {
    absl::Duration restart_after;
    MonoTime kill_at;
    MonoTime look_at;                  // next
    std::optional<MonoTime> start_at;  // once it is known to be down
  };
  void StartWhatEnded() ABSL_LOCKS_EXCLUDED(mutex_);
  void GoOn(const std::string& name) ABSL_LOCKS_EXCLUDED(mutex_);

  const Deployment deployment_;
  const std::vector<std::string> names_;
  const std::unique_ptr<RemoteCommands> commands_;
  const Run run_;
  const std::string log_dir_;
  const SteadyClock clock_;
  absl::Mutex mutex_;
  std::vector<NetworkFault> network_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Ended> down_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> ended_ ABSL_GUARDED_BY(mutex_);  // how often each was
};

}  // namespace baton::chaos
