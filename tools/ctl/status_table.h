#pragma once

// The table of `./baton status`. Pure: records and the router's report in, text out.

#include <string>
#include <vector>

#include "tools/ctl/cluster_state.h"

namespace baton::ctl {

// One row a rank of each worker, one for the router, one for the KV pool. `router_status` is the JSON of GET
// /baton/status, matched to processes by worker name; `pool_metrics` the text of the pool's /metrics. Fields
// that they lack (and all, if they do not parse) show as '-'.
std::vector<std::vector<std::string>> StatusRows(const ClusterRecord& record,
                                                 const std::string& router_status,
                                                 const std::string& pool_metrics = "");

// The workers that the JSON of GET /baton/status names, as processes of which nothing else is known.
ClusterRecord ReportedBy(const std::string& router_status);

}  // namespace baton::ctl
