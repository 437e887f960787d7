#pragma once

// The commands that strike containers (podman, docker) and pods (kubectl). Composed here, run elsewhere.

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/chaos/command.h"
#include "tools/chaos/network.h"
#include "tools/chaos/scenario.h"

namespace baton::chaos {

// "decode-1" put into a template such as "{name}" or "{role}_{index}"; a process without a number has index
// 0.
std::string FillTemplate(const std::string& pattern, const std::string& process);

// What can't be done there is UNIMPLEMENTED, with the reason and what to do instead.
class RemoteCommands {
 public:
  virtual ~RemoteCommands() = default;

  virtual absl::StatusOr<std::vector<Command>> Signal(const std::string& process, int signal) const = 0;
  // Ends it, soon.
  virtual std::vector<Command> End(const std::string& process, int signal) const = 0;
  // Once it has ended; none where somebody else does.
  virtual std::vector<Command> StartAgain(const std::string& process) const = 0;
  // From what was cut before to what shall be cut.
  virtual absl::StatusOr<std::vector<Command>> SetNetwork(const std::vector<NetworkFault>& before,
                                                          const std::vector<NetworkFault>& after) const = 0;
  // Writes the body of GET `path` of the process's HTTP port.
  virtual Command Get(const std::string& process, const std::string& path) const = 0;
  // Writes its log.
  virtual Command Log(const std::string& process) const = 0;
  // Writes "true" while it runs; none where somebody else starts again what ended.
  virtual std::optional<Command> Running(const std::string& process) const = 0;
};

// `program`: "podman" or "docker". A partition takes a container off its network, so it is from all.
class ContainerCommands final : public RemoteCommands {
 public:
  ContainerCommands(std::string program, const Deployment& deployment)
      : program_(std::move(program)), deployment_(deployment) {}
  absl::StatusOr<std::vector<Command>> Signal(const std::string& process, int signal) const override;
  std::vector<Command> End(const std::string& process, int signal) const override;
  std::vector<Command> StartAgain(const std::string& process) const override;
  absl::StatusOr<std::vector<Command>> SetNetwork(const std::vector<NetworkFault>& before,
                                                  const std::vector<NetworkFault>& after) const override;
  Command Get(const std::string& process, const std::string& path) const override;
  Command Log(const std::string& process) const override;
  std::optional<Command> Running(const std::string& process) const override;

 private:
  std::string Name(const std::string& process) const { return FillTemplate(deployment_.container, process); }

  std::string program_;
  Deployment deployment_;
};

// A pod's controller starts again what ended, when it likes. Partitions are network policies: they need a
// network plug-in that enforces them, also on open connections.
class KubernetesCommands final : public RemoteCommands {
 public:
  explicit KubernetesCommands(const Deployment& deployment) : deployment_(deployment) {}
  absl::StatusOr<std::vector<Command>> Signal(const std::string& process, int signal) const override;
  std::vector<Command> End(const std::string& process, int signal) const override;
  std::vector<Command> StartAgain(const std::string& process) const override;
  absl::StatusOr<std::vector<Command>> SetNetwork(const std::vector<NetworkFault>& before,
                                                  const std::vector<NetworkFault>& after) const override;
  Command Get(const std::string& process, const std::string& path) const override;
  Command Log(const std::string& process) const override;
  std::optional<Command> Running(const std::string& process) const override;

 private:
  std::string Pod(const std::string& process) const { return FillTemplate(deployment_.pod, process); }
  Command Kubectl(std::vector<std::string> words, std::string input = "") const;

  Deployment deployment_;
};

}  // namespace baton::chaos
