#pragma once

// GET /baton/status: every worker, its ranks, their load and pages by class; how streams are
// placed. Pure.

#include <string>
#include <utility>
#include <vector>

#include "services/router/policy/worker_table.h"
#include "services/router/registry/registry.h"
#include "services/router/serve/admission_gate.h"

namespace baton::router {

std::string StatusJson(const std::vector<std::pair<std::string, WorkerState>>& workers,
                       const std::vector<RankView>& ranks, const AdmissionGate::Load& load,
                       const PlacementStatus& placement);

}  // namespace baton::router
