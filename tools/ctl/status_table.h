#pragma once

// The table of `./baton status`. Pure: records and the router's report in, text out.

#include <string>
#include <vector>

#include "tools/ctl/cluster_state.h"

namespace baton::ctl {

// One row a rank of each worker, one for the router. `router_status` is the JSON of GET /baton/status,
// matched to processes by worker name; fields it lacks (and all, if it does not parse) show as '-'.
std::vector<std::vector<std::string>> StatusRows(const ClusterRecord& record,
                                                 const std::string& router_status);

}  // namespace baton::ctl
