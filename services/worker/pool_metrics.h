#pragma once

#include "common/metrics.h"
#include "services/worker/pool_gate.h"

namespace baton {

// What the pool was asked, what came of it, and the cost model's measurements and regrets: baton_kv_pool_*.
void CollectPoolGateMetrics(const PoolGate& gate, MetricSnapshot& out);

}  // namespace baton
