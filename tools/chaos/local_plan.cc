#include "tools/chaos/local_plan.h"

#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace baton::chaos {
namespace {

constexpr int kRouterPort = 8000, kPoolPort = 7100;  // in networks of their own

ctl::ClusterSpec SpecOf(const ClusterShape& cluster, const LocalPaths& paths, const LocalPlace& place,
                        int cores) {
  ctl::ClusterSpec spec;
  spec.name = "chaos";
  spec.model = ModelPath(cluster.model, paths);
  spec.bin_dir = paths.bin_dir;
  spec.port = 0;
  spec.prefill = cluster.prefill;
  spec.decode = cluster.decode;
  spec.ranks = cluster.ranks;
  spec.threads = cluster.threads > 0
                     ? cluster.threads
                     : ctl::DefaultThreads(cores, cluster.prefill, cluster.decode, cluster.ranks);
  spec.kv_pool_mb = cluster.kv_pool_mb;
  spec.kv_disk_mb = cluster.kv_disk_mb;
  spec.kv_disk_dir = place.disk_dir;
  spec.worker_flags = cluster.worker_flags;
  spec.router_flags = cluster.router_flags;
  return spec;
}

// Every address it listens on becomes its own network's; fixed ports where others must know them.
void MoveToNetwork(const AddressOf& addresses, const std::string& pool_socket, ctl::ProcessPlan& plan) {
  const std::string own = addresses.at(plan.name);
  for (std::string& word : plan.command) {
    word = absl::StrReplaceAll(word, {{"127.0.0.1:0", absl::StrCat(own, ":0")}});
    if (plan.role == "router" && absl::StartsWith(word, "--listen="))
      word = absl::StrCat("--listen=", own, ":", kRouterPort);
    if (plan.role == "kv" && absl::StartsWith(word, "--grpc_listen="))
      word = absl::StrCat("--grpc_listen=", own, ":", kPoolPort);
    if (plan.role != "kv" && word == absl::StrCat("--kv_pool=", pool_socket))
      word = absl::StrCat("--kv_pool=", addresses.at("kv"), ":", kPoolPort);
  }
}

absl::Status UseProgram(const ClusterShape& cluster, const LocalPaths& paths, ctl::ProcessPlan& plan) {
  auto found = cluster.programs.find(plan.name);
  if (found == cluster.programs.end()) found = cluster.programs.find(plan.role);
  if (found != cluster.programs.end()) {
    const bool path = absl::StrContains(found->second, '/');
    plan.command[0] = path ? found->second : absl::StrCat(paths.bin_dir, "/", found->second);
  }
  if (access(plan.command[0].c_str(), X_OK) == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(plan.name, ": there is no program ", plan.command[0]));
}

}  // namespace

std::string ModelPath(const std::string& model, const LocalPaths& paths) {
  return model == "default" ? paths.default_model : model == "tiny" ? paths.tiny_model : model;
}

absl::StatusOr<std::vector<ctl::ProcessPlan>> PlanLocally(const ClusterShape& cluster,
                                                          const LocalPaths& paths, const LocalPlace& place,
                                                          int cores) {
  const ctl::ClusterSpec spec = SpecOf(cluster, paths, place, cores);
  if (access(spec.model.c_str(), R_OK) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read the model '", spec.model, "' (cluster.model: ", cluster.model,
                     "); --model PATH says where the default one is, and ./baton up fetches it"));
  }
  std::vector<ctl::ProcessPlan> plans = ctl::PlanCluster(spec, place.folder);
  for (ctl::ProcessPlan& plan : plans) {
    const absl::Status found = UseProgram(cluster, paths, plan);
    if (!found.ok()) return found;
    if (plan.role == "kv") {
      plan.command.insert(plan.command.end(), cluster.pool_flags.begin(), cluster.pool_flags.end());
      if (!place.disk_control.empty()) {
        plan.command.insert(plan.command.begin(),
                            {"/usr/bin/env", absl::StrCat("LD_PRELOAD=", paths.slow_disk),
                             absl::StrCat("BATON_SLOW_DISK=", place.disk_control)});
      }
    }
    if (!place.addresses.empty()) {
      MoveToNetwork(place.addresses, absl::StrCat("unix:", place.folder.path(), "/kv.sock"), plan);
      const std::vector<std::string>& enter = place.enter_by.at(plan.name);
      plan.command.insert(plan.command.begin(), enter.begin(), enter.end());
    }
  }
  return plans;
}

}  // namespace baton::chaos
