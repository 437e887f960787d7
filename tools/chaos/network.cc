#include "tools/chaos/network.h"

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace baton::chaos {
namespace {

constexpr char kPrefix[] = "baton-chaos";

absl::Status RunScript(const std::string& script) {
  return RunCommand({{"sh", "-e"}, script}).status();
}

// Of runs that were killed: their processes end with them, their networks don't.
void RemoveLeftOver() {
  const auto listed = RunCommand({{"ip", "netns", "list"}});
  if (!listed.ok()) return;
  for (const absl::string_view line : absl::StrSplit(*listed, '\n', absl::SkipEmpty())) {
    const std::string name(line.substr(0, line.find(' ')));
    const std::vector<std::string> parts = absl::StrSplit(name, '-');  // baton-chaos-PID-...
    int pid = 0;
    if (!absl::StartsWith(name, absl::StrCat(kPrefix, "-")) || parts.size() < 4) continue;
    if (!absl::SimpleAtoi(parts[2], &pid) || std::filesystem::exists(absl::StrCat("/proc/", pid))) continue;
    (void)RunCommand({{"ip", "netns", "del", name}});
  }
}

// A second byte of 10.B to which no route of this machine goes; 0: all are taken.
absl::StatusOr<int> FreeSecond() {
  const auto routes = RunCommand({{"ip", "route", "show", "table", "all"}});
  if (!routes.ok()) return routes.status();
  for (int i = 0; i < 200; ++i) {
    const int second = 50 + (static_cast<int>(getpid()) + i) % 200;
    if (!absl::StrContains(*routes, absl::StrCat("10.", second, "."))) return second;
  }
  return absl::FailedPreconditionError("no network 10.B.0.0/16 is free here");
}

}  // namespace

Networks::Networks(NetworkPlan plan) : plan_(std::move(plan)), addresses_(plan_.Addresses()) {}

Networks::Networks(Networks&& other) noexcept
    : plan_(std::move(other.plan_)),
      addresses_(std::move(other.addresses_)),
      mine_(std::exchange(other.mine_, false)) {}

Networks::~Networks() {
  if (mine_) (void)RunScript(plan_.RemoveScript());
}

absl::StatusOr<Networks> Networks::Make(const std::vector<std::string>& processes) {
  if (geteuid() != 0) {
    return absl::FailedPreconditionError(
        "partitions and packet loss need network namespaces, and those need root: run it as root, or leave "
        "these faults out");
  }
  RemoveLeftOver();
  const auto second = FreeSecond();
  if (!second.ok()) return second.status();
  static std::atomic<int> made_so_far = 0;
  Networks networks(
      NetworkPlan{absl::StrCat(kPrefix, "-", getpid(), "-", ++made_so_far), *second, processes});
  absl::Status made = RunScript(networks.plan_.MakeScript());
  if (made.ok()) made = networks.Apply({});
  if (made.ok()) return networks;
  return absl::FailedPreconditionError(
      absl::StrCat("no network namespaces or iptables here (packages iproute2, iptables): ", made.message()));
}

std::vector<std::string> Networks::Enter(const std::string& process) const {
  return {"/usr/bin/env", "ip", "netns", "exec", plan_.NamespaceOf(process)};
}

absl::Status Networks::Apply(const std::vector<NetworkFault>& faults) {
  return RunCommand({{"ip", "netns", "exec", plan_.Hub(), "iptables-restore"}, RulesFor(faults, addresses_)})
      .status();
}

}  // namespace baton::chaos
