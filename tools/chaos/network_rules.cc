#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/chaos/network.h"

namespace baton::chaos {
namespace {

// Cables' ends have at most 15 letters in their names; these are inside the hub only.
std::string CableOf(size_t index) {
  return absl::StrCat("cable", index);
}

void AppendRule(const std::string& from, const std::string& to, double lost_percent, std::string* rules) {
  absl::StrAppend(rules, "-A FORWARD");
  if (!from.empty()) absl::StrAppend(rules, " -s ", from);
  if (!to.empty()) absl::StrAppend(rules, " -d ", to);
  if (lost_percent < 100)
    absl::StrAppend(rules,
                    absl::StrFormat(" -m statistic --mode random --probability %.6f", lost_percent / 100));
  absl::StrAppend(rules, " -j DROP\n");
}

}  // namespace

std::string RulesFor(const std::vector<NetworkFault>& faults, const AddressOf& addresses) {
  std::string rules = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n";
  for (const NetworkFault& fault : faults) {
    const auto one = addresses.find(fault.one), other = addresses.find(fault.other);
    if (one == addresses.end() || fault.lost_percent <= 0) continue;
    const std::string peer = other == addresses.end() ? "" : other->second;
    AppendRule(one->second, peer, fault.lost_percent, &rules);
    AppendRule(peer, one->second, fault.lost_percent, &rules);
  }
  return rules + "COMMIT\n";
}

AddressOf NetworkPlan::Addresses() const {
  AddressOf addresses;
  for (size_t i = 0; i < processes.size(); ++i)
    addresses[processes[i]] = absl::StrCat("10.", second, ".1.", 2 + i);
  return addresses;
}

std::string NetworkPlan::MakeScript() const {
  const std::string hub = Hub(), outside = absl::StrCat("bchaos", second),
                    inside = absl::StrCat("10.", second);
  std::string script = absl::StrCat(
      "ip netns add ", hub, "\nip link add ", outside, " type veth peer name out netns ", hub,   //
      "\nip addr add ", inside, ".0.1/30 dev ", outside, "\nip link set ", outside, " up",       //
      "\nip -n ", hub, " link set lo up\nip -n ", hub, " addr add ", inside, ".0.2/30 dev out",  //
      "\nip -n ", hub, " link set out up\nip netns exec ", hub,
      " sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'\nip route add ", inside, ".1.0/24 via ", inside,
      ".0.2\n");
  const AddressOf addresses = Addresses();
  for (size_t i = 0; i < processes.size(); ++i) {
    const std::string there = NamespaceOf(processes[i]), address = addresses.at(processes[i]);
    absl::StrAppend(&script, "ip netns add ", there, "\nip link add ", CableOf(i), " netns ", hub,
                    " type veth peer name eth0 netns ", there,  //
                    "\nip -n ", hub, " link set ", CableOf(i), " up\nip -n ", hub, " route add ", address,
                    "/32 dev ", CableOf(i), " src ", inside, ".0.2",  //
                    "\nip -n ", there, " link set lo up\nip -n ", there, " addr add ", address,
                    "/32 dev eth0", "\nip -n ", there, " link set eth0 up\nip -n ", there, " route add ",
                    inside, ".0.2/32 dev eth0\nip -n ", there, " route add default via ", inside, ".0.2\n");
  }
  return script;
}

std::string NetworkPlan::RemoveScript() const {
  std::string script;
  for (const std::string& process : processes)
    absl::StrAppend(&script, "ip netns del ", NamespaceOf(process), " 2>/dev/null || true\n");
  absl::StrAppend(&script, "ip link del bchaos", second, " 2>/dev/null || true\nip netns del ", Hub(),
                  " 2>/dev/null || true\n");
  return script;
}

}  // namespace baton::chaos
