#include "services/kv_transfer/pool/service/pool_metrics.h"

namespace baton::pool {
namespace {

double Value(uint64_t n) {
  return static_cast<double>(n);
}

void CollectTiers(const PoolStatus& status, MetricSnapshot& out) {
  constexpr const char* kStates[kPageStates] = {"free", "cached", "pinned", "filling", "quarantined"};
  out.Gauge("baton_pool_pages", "Pages of the memory tier by class; the classes sum to the total");
  for (size_t i = 0; i < kPageStates; ++i)
    out.Add(static_cast<double>(status.pages[i]), {{"class", kStates[i]}});
  out.Gauge("baton_pool_disk_blocks", "Blocks on disk").Add(static_cast<double>(status.disk_blocks));
  out.Gauge("baton_pool_disk_capacity_blocks", "Blocks that the disk tier may hold")
      .Add(static_cast<double>(status.disk_capacity_blocks));
  out.Gauge("baton_pool_disk_on", "0 if there is no disk tier, or it failed")
      .Add(status.disk.ok() && status.disk_capacity_blocks > 0 ? 1 : 0);
  out.Gauge("baton_pool_moves", "Handoffs under way").Add(Value(status.moves));
}

void CollectCounters(const PoolCounters& c, MetricSnapshot& out) {
  out.Counter("baton_pool_blocks_asked_total", "Blocks asked for, beyond what readers had")
      .Add(Value(c.blocks_asked));
  out.Counter("baton_pool_blocks_hit_total", "Blocks offered to readers, beyond what they had")
      .Add(Value(c.blocks_hit));
  out.Counter("baton_pool_fetches_total", "Fetches by what became of them")
      .Add(Value(c.fetches_empty), {{"result", "empty"}})
      .Add(Value(c.fetches_held), {{"result", "held"}})
      .Add(Value(c.fetches_lost), {{"result", "lost"}});
  out.Counter("baton_pool_stores_total", "Stores by what became of them")
      .Add(Value(c.stores_unwanted), {{"result", "unwanted"}})
      .Add(Value(c.stores_held), {{"result", "held"}})
      .Add(Value(c.stores_lost), {{"result", "lost"}});
  out.Counter("baton_pool_blocks_stored_total", "Blocks taken into memory from workers")
      .Add(Value(c.blocks_stored));
  out.Counter("baton_pool_blocks_not_admitted_total", "Blocks offered and not wanted")
      .Add(Value(c.blocks_not_admitted));
  out.Counter("baton_pool_blocks_evicted_total", "Blocks that left memory for others")
      .Add(Value(c.blocks_evicted));
  out.Counter("baton_pool_disk_blocks_total", "Blocks of the disk tier, by what was done with them")
      .Add(Value(c.disk_written), {{"event", "written"}})
      .Add(Value(c.disk_read), {{"event", "read"}})
      .Add(Value(c.disk_refused), {{"event", "refused"}})
      .Add(Value(c.disk_skipped), {{"event", "skipped"}})
      .Add(Value(c.disk_dropped), {{"event", "dropped"}});
  out.Counter("baton_pool_busy_total", "Calls answered with nothing, as too much was under way")
      .Add(Value(c.busy));
}

}  // namespace

void CollectPoolMetrics(const PoolNode& node, MetricSnapshot& out) {
  const PoolStatus status = node.Status();
  CollectTiers(status, out);
  CollectCounters(status.counters, out);
  out.Counter("baton_pool_bytes_total", "KV bytes moved")
      .Add(Value(status.handoff.bytes_in), {{"direction", "in"}})
      .Add(Value(status.handoff.bytes_out), {{"direction", "out"}});
  out.Counter("baton_pool_checksum_failures_total", "KV units whose bytes did not match their checksum")
      .Add(Value(status.handoff.checksum_failures));
  out.Gauge("baton_healthy", "0 after an integrity violation or while a thread is wedged")
      .Add(node.Health().ok() ? 1 : 0);
}

}  // namespace baton::pool
