#pragma once

// The router of a simulation: the real worker table, prefix index, policy and admission, put together as
// services/router/registry does, without threads.

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "services/router/policy/admission.h"
#include "services/router/policy/cluster_prefixes.h"
#include "services/router/policy/policy.h"
#include "services/router/policy/worker_table.h"
#include "tools/sim/cache_pool.h"

namespace baton::simulator {

struct RouterOptions {
  std::string policy;
  uint64_t seed = 1;
  bool admission = false;
  router::AdmissionConfig limits{};  // with admission
};

struct SimWorker {
  router::WorkerRole role = router::WorkerRole::kPrefill;
  uint32_t ranks = 1;
  uint32_t page_tokens = 16;
  uint64_t pages = 0;  // of each rank
};

struct PlacedRequest {
  uint64_t stream = 0;  // of feedback
  router::Placement placement;
  uint32_t to_compute = 0;
};

class SimRouter {
 public:
  // InvalidArgument if there is no such policy.
  static absl::StatusOr<SimRouter> Make(const RouterOptions& options);

  // Numbers from 1 on, in order; ranks of a worker from 0 on.
  uint64_t AddWorker(const SimWorker& worker, MonoTime now);
  void Report(uint64_t worker, std::vector<router::RankReport> ranks, MonoTime now);
  void Changed(uint64_t worker, uint32_t rank, const CachePool::Change& change);

  // `blocks`: the prompt's whole ones.
  absl::StatusOr<PlacedRequest> Place(const router::PlacementRequest& request, CachePool::Chain blocks,
                                      MonoTime now);
  void Learn(const router::PolicyFeedback& feedback) { policy_->Learn(feedback); }
  // What Place charged, given back.
  void PromptComputed(PlacedRequest* placed);
  void HandedOff(PlacedRequest* placed);
  void Ended(PlacedRequest* placed);

  router::Admission* admission() { return admission_ ? &*admission_ : nullptr; }
  std::string Describe() const { return policy_->Describe(); }

 private:
  struct Known {
    SimWorker worker;
    uint64_t reports = 0;
  };
  SimRouter(const RouterOptions& options, std::unique_ptr<router::Policy> policy);
  router::WorkerReport ReportOf(uint64_t worker) const;

  std::unique_ptr<router::Policy> policy_;
  router::PolicyRandom random_;
  std::optional<router::Admission> admission_;
  router::WorkerTable table_;
  router::ClusterPrefixes prefixes_;
  std::vector<Known> workers_;
  std::vector<router::RankRef> refs_;  // in the order of the table's views
  uint64_t membership_ = 0, streams_ = 0;
};

}  // namespace baton::simulator
