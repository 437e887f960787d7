#include "tools/chaos/remote_commands.h"

#include <signal.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tools/chaos/schedule.h"

namespace baton::chaos {
namespace {

std::string SignalName(int signal) {
  switch (signal) {
    case SIGKILL:
      return "KILL";
    case SIGTERM:
      return "TERM";
    case SIGSTOP:
      return "STOP";
    case SIGCONT:
      return "CONT";
    default:
      return absl::StrCat(signal);
  }
}

absl::Status NoLoss() {
  return absl::UnimplementedError(
      "packets are lost on local processes only (--driver local): containers' networks have no such switch");
}

// Faults of `of` that are not in `without`.
std::vector<NetworkFault> Difference(const std::vector<NetworkFault>& of,
                                     const std::vector<NetworkFault>& without) {
  std::vector<NetworkFault> left;
  for (const NetworkFault& fault : of) {
    if (std::find(without.begin(), without.end(), fault) == without.end()) left.push_back(fault);
  }
  return left;
}

}  // namespace

std::string FillTemplate(const std::string& pattern, const std::string& process) {
  const std::string role = RoleOf(process);
  const std::string index = role == process ? "0" : process.substr(role.size() + 1);
  return absl::StrReplaceAll(pattern, {{"{name}", process}, {"{role}", role}, {"{index}", index}});
}

absl::StatusOr<std::vector<Command>> ContainerCommands::Signal(const std::string& process, int signal) const {
  // Pausing freezes all of the container, with the kernel's freezer: what SIGSTOP does to one process.
  if (signal == SIGSTOP) return std::vector<Command>{{{program_, "pause", Name(process)}}};
  if (signal == SIGCONT) return std::vector<Command>{{{program_, "unpause", Name(process)}}};
  return std::vector<Command>{{{program_, "kill", "--signal", SignalName(signal), Name(process)}}};
}

std::vector<Command> ContainerCommands::End(const std::string& process, int signal) const {
  return {{{program_, "kill", "--signal", SignalName(signal), Name(process)}}};
}

std::vector<Command> ContainerCommands::StartAgain(const std::string& process) const {
  return {{{program_, "start", Name(process)}}};
}

absl::StatusOr<std::vector<Command>> ContainerCommands::SetNetwork(
    const std::vector<NetworkFault>& before, const std::vector<NetworkFault>& after) const {
  std::vector<Command> commands;
  std::set<std::string> was, shall;
  for (const NetworkFault& fault : before) was.insert(fault.one);
  for (const NetworkFault& fault : after) {
    if (fault.lost_percent < 100) return NoLoss();
    if (fault.other != "all")
      return absl::UnimplementedError("a container is cut off from all or from none: partition with target:");
    shall.insert(fault.one);
  }
  for (const std::string& process : was) {
    if (shall.count(process) == 0)
      commands.push_back({{program_, "network", "connect", deployment_.network, Name(process)}});
  }
  for (const std::string& process : shall) {
    if (was.count(process) == 0)
      commands.push_back({{program_, "network", "disconnect", deployment_.network, Name(process)}});
  }
  return commands;
}

Command ContainerCommands::Get(const std::string& process, const std::string& path) const {
  const std::string address = absl::StrCat(
      "$(", program_, " inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' ",
      Name(process), ")");
  return {{"sh", "-c",
           absl::StrCat("curl --noproxy '*' -sf --max-time 2 \"http://", address, ":",
                        deployment_.metrics_port, path, "\"")}};
}

Command ContainerCommands::Log(const std::string& process) const {
  return {{"sh", "-c", absl::StrCat(program_, " logs ", Name(process), " 2>&1")}};
}

std::optional<Command> ContainerCommands::Running(const std::string& process) const {
  return Command{{program_, "inspect", "--format", "{{.State.Running}}", Name(process)}, ""};
}

Command KubernetesCommands::Kubectl(std::vector<std::string> words, std::string input) const {
  std::vector<std::string> all = {"kubectl"};
  if (!deployment_.kubernetes_context.empty()) {
    all.push_back("--context");
    all.push_back(deployment_.kubernetes_context);
  }
  all.push_back("--namespace");
  all.push_back(deployment_.kubernetes_namespace);
  all.insert(all.end(), words.begin(), words.end());
  return {all, std::move(input)};
}

absl::StatusOr<std::vector<Command>> KubernetesCommands::Signal(const std::string& process,
                                                                int signal) const {
  // The first process of a container ignores STOP from inside: it must run under an init
  // (shareProcessNamespace).
  const std::string kill =
      absl::StrCat("kill -", SignalName(signal), " $(pidof baton-", RoleOf(process), ")");
  return std::vector<Command>{Kubectl({"exec", Pod(process), "--", "sh", "-c", kill})};
}

std::vector<Command> KubernetesCommands::End(const std::string& process, int signal) const {
  std::vector<std::string> words = {"delete", "pod", Pod(process), "--wait=false"};
  if (signal == SIGKILL) words.insert(words.end(), {"--grace-period=0", "--force"});
  return {Kubectl(words)};
}

std::vector<Command> KubernetesCommands::StartAgain(const std::string&) const {
  return {};
}

absl::StatusOr<std::vector<Command>> KubernetesCommands::SetNetwork(
    const std::vector<NetworkFault>& before, const std::vector<NetworkFault>& after) const {
  std::vector<Command> commands;
  const auto name = [](const NetworkFault& fault) {
    return absl::StrCat("baton-chaos-", fault.one, "-", fault.other);
  };
  for (const NetworkFault& fault : Difference(before, after))
    commands.push_back(Kubectl({"delete", "networkpolicy", name(fault), "--ignore-not-found"}));
  for (const NetworkFault& fault : Difference(after, before)) {
    if (fault.lost_percent < 100) return NoLoss();
    const std::string label = "statefulset.kubernetes.io/pod-name";
    const std::string from = fault.other == "all"
                                 ? "[]"
                                 : absl::StrCat("[{podSelector: {matchExpressions: [{key: ", label,
                                                ", operator: NotIn, values: [", Pod(fault.other), "]}]}}]");
    const std::string rules = fault.other == "all" ? absl::StrCat("  ingress: []\n  egress: []\n")
                                                   : absl::StrCat("  ingress: [{from: ", from,
                                                                  "}]\n  egress: [{to: ", from, "}]\n");
    commands.push_back(Kubectl(
        {"apply", "-f", "-"},
        absl::StrCat("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: ", name(fault),
                     "}\nspec:\n  podSelector: {matchLabels: {", label, ": ", Pod(fault.one),
                     "}}\n  policyTypes: [Ingress, Egress]\n", rules)));
  }
  return commands;
}

Command KubernetesCommands::Get(const std::string& process, const std::string& path) const {
  return Kubectl({"get", "--raw",
                  absl::StrCat("/api/v1/namespaces/", deployment_.kubernetes_namespace, "/pods/",
                               Pod(process), ":", deployment_.metrics_port, "/proxy", path)});
}

Command KubernetesCommands::Log(const std::string& process) const {
  return Kubectl({"logs", Pod(process)});
}

std::optional<Command> KubernetesCommands::Running(const std::string&) const {
  return std::nullopt;
}

}  // namespace baton::chaos
