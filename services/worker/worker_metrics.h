#pragma once

// A worker's metrics, as a collector for common/metrics.

#include "common/metrics.h"
#include "services/worker/worker.h"

namespace baton {

// Adds every family (README of names: baton_pages, baton_sequences, baton_handoffs_total, ...). Thread-safe.
void CollectWorkerMetrics(const Worker& worker, MetricSnapshot& out);

}  // namespace baton
