#pragma once

// What gets through between the processes of a cluster: which are cut off and which lose packets, as rules
// for iptables; and the network namespaces in which they run. Every process has a namespace of its own with
// one cable to a hub, which forwards; the rules are the hub's, so one table says it all.
//
//   this machine 10.B.0.1 --- 10.B.0.2 hub 10.B.1.1 --- 10.B.1.(2 + i) process i
//
// B is chosen so that no route of this machine goes there.

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/chaos/command.h"

namespace baton::chaos {

// One lasting fault of the network, both ways.
struct NetworkFault {
  std::string one, other;     // processes; other may be "all": everybody, this machine too
  double lost_percent = 100;  // 100: cut

  bool operator==(const NetworkFault&) const = default;
};

using AddressOf = std::map<std::string, std::string>;  // by process

// The input of iptables-restore: the whole table of the hub, which replaces the one before at once.
std::string RulesFor(const std::vector<NetworkFault>& faults, const AddressOf& addresses);

// The commands, as one `sh -e` script, that make the hub and a namespace for each process; and those that
// remove all of it. `second` is B above, `prefix` what the namespaces' names begin with.
struct NetworkPlan {
  std::string prefix;
  int second = 0;
  std::vector<std::string> processes;

  std::string Hub() const { return prefix + "-hub"; }
  std::string NamespaceOf(const std::string& process) const { return prefix + "-" + process; }
  AddressOf Addresses() const;
  std::string MakeScript() const;
  std::string RemoveScript() const;
};

// Makes the networks, and removes them when it goes. Not thread-safe.
class Networks {
 public:
  // FAILED_PRECONDITION says why there can be none here: no root, no iptables, no namespaces.
  static absl::StatusOr<Networks> Make(const std::vector<std::string>& processes);
  Networks(Networks&& other) noexcept;
  Networks& operator=(Networks&&) = delete;
  ~Networks();

  const AddressOf& addresses() const { return addresses_; }
  // What a command must begin with to run in a process's network.
  std::vector<std::string> Enter(const std::string& process) const;
  absl::Status Apply(const std::vector<NetworkFault>& faults);

 private:
  explicit Networks(NetworkPlan plan);

  NetworkPlan plan_;
  AddressOf addresses_;
  bool mine_ = true;
};

}  // namespace baton::chaos
