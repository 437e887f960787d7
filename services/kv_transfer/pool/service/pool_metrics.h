#pragma once

#include "common/metrics.h"
#include "services/kv_transfer/pool/pool_node.h"

namespace baton::pool {

// Everything that the pool counts, named baton_pool_*.
void CollectPoolMetrics(const PoolNode& node, MetricSnapshot& out);

}  // namespace baton::pool
