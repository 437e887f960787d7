#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tools/ctl/keys.h"
#include "tools/ctl/supervisor.h"

namespace baton::ctl {
namespace {

// Shorter than the supervisor's patience, so that streams which outlast it end in an error, not in a broken
// connection.
constexpr char kDrainGrace[] = "--drain_grace=15s";

// The cluster's own keys, so that nobody else gets in, unless the flags given say how handoffs are guarded.
void AddKeys(const ClusterFolder& folder, const std::vector<std::string>& flags, ProcessPlan& plan) {
  const bool said = std::any_of(flags.begin(), flags.end(), [](const std::string& flag) {
    return absl::StrContains(flag, "kv_key") || absl::StrContains(flag, "kv_allowed_keys") ||
           absl::StrContains(flag, "kv_curve");
  });
  if (said) return;
  const std::string keys = ClusterKeys(folder);
  plan.command.push_back(absl::StrCat("--kv_key=", KeyFileOf(keys, plan.name)));
  plan.command.push_back(absl::StrCat("--kv_allowed_keys=", ListOf(keys)));
}

// A socket in the cluster's folder: the pool is for this machine only, and keeps its address when it
// restarts.
std::string PoolAddress(const ClusterFolder& folder) {
  return absl::StrCat("unix:", folder.path(), "/kv.sock");
}

ProcessPlan PlanPool(const ClusterSpec& spec, const ClusterFolder& folder) {
  ProcessPlan plan{"kv", "kv", {}};
  plan.command = {absl::StrCat(spec.bin_dir, "/baton-kv"),
                  absl::StrCat("--grpc_listen=", PoolAddress(folder)),
                  "--http_listen=127.0.0.1:0",
                  "--kv_listen=tcp://127.0.0.1:0",
                  absl::StrCat("--memory_mb=", spec.kv_pool_mb),
                  absl::StrCat("--address_file=", folder.Addresses(plan.name))};
  AddKeys(folder, spec.worker_flags, plan);
  // What the workers were told of handoffs goes for the pool as well.
  for (const std::string& flag : spec.worker_flags) {
    const bool of_handoffs = absl::StrContains(flag, "kv_key") ||
                             absl::StrContains(flag, "kv_allowed_keys") ||
                             absl::StrContains(flag, "kv_curve") || absl::StrContains(flag, "kv_wire");
    if (of_handoffs) plan.command.push_back(flag);
  }
  if (spec.kv_disk_mb > 0) {
    plan.command.push_back(absl::StrCat("--disk_dir=", spec.kv_disk_dir));
    plan.command.push_back(absl::StrCat("--disk_mb=", spec.kv_disk_mb));
  }
  return plan;
}

ProcessPlan PlanWorker(const ClusterSpec& spec, const ClusterFolder& folder, const std::string& role,
                       int index) {
  ProcessPlan plan{absl::StrCat(role, "-", index), role, {}};
  plan.command = {absl::StrCat(spec.bin_dir, "/baton-", role),
                  absl::StrCat("--model=", spec.model),
                  absl::StrCat("--name=", plan.name),
                  absl::StrCat("--ranks=", spec.ranks),
                  absl::StrCat("--threads=", spec.threads),
                  "--grpc_listen=127.0.0.1:0",
                  "--http_listen=127.0.0.1:0",
                  "--kv_listen=tcp://127.0.0.1:0",
                  kDrainGrace,
                  absl::StrCat("--address_file=", folder.Addresses(plan.name))};
  AddKeys(folder, spec.worker_flags, plan);
  if (spec.kv_pool_mb > 0 && role == "prefill")
    plan.command.push_back(absl::StrCat("--kv_pool=", PoolAddress(folder)));
  plan.command.insert(plan.command.end(), spec.worker_flags.begin(), spec.worker_flags.end());
  return plan;
}

}  // namespace

std::vector<ProcessPlan> PlanCluster(const ClusterSpec& spec, const ClusterFolder& folder) {
  std::vector<ProcessPlan> plans;
  plans.push_back({"router",
                   "router",
                   {absl::StrCat(spec.bin_dir, "/baton-router"), absl::StrCat("--model=", spec.model),
                    absl::StrCat("--listen=", spec.host, ":", spec.port),
                    absl::StrCat("--workers_file=", folder.Workers()), kDrainGrace,
                    absl::StrCat("--address_file=", folder.Addresses("router"))}});
  std::vector<std::string>& router = plans.front().command;
  router.insert(router.end(), spec.router_flags.begin(), spec.router_flags.end());
  if (spec.kv_pool_mb > 0) plans.push_back(PlanPool(spec, folder));
  for (int i = 0; i < spec.prefill; ++i) plans.push_back(PlanWorker(spec, folder, "prefill", i));
  for (int i = 0; i < spec.decode; ++i) plans.push_back(PlanWorker(spec, folder, "decode", i));
  return plans;
}

}  // namespace baton::ctl
