#include "services/worker/pool_metrics.h"

namespace baton {

void CollectPoolGateMetrics(const PoolGate& gate, MetricSnapshot& out) {
  const PoolGate::Stats stats = gate.stats();
  const PoolPlannerCounters& c = stats.planner;
  const auto count = [](uint64_t n) { return static_cast<double>(n); };
  out.Gauge("baton_kv_pool_attached", "1 while the node's pool is known").Add(stats.client.attached ? 1 : 0);
  out.Counter("baton_kv_pool_calls_total", "Calls to the pool").Add(count(stats.client.calls));
  out.Counter("baton_kv_pool_call_failures_total", "Calls to the pool that failed or came too late")
      .Add(count(stats.client.failures));
  out.Counter("baton_kv_pool_decisions_total", "Prompts by what was decided and what came of it")
      .Add(count(c.local), {{"decision", "local"}})
      .Add(count(c.too_short), {{"decision", "too_short"}})
      .Add(count(c.missed), {{"decision", "missed"}})
      .Add(count(c.failed), {{"decision", "failed"}})
      .Add(count(c.fetched), {{"decision", "fetched"}})
      .Add(count(c.lost), {{"decision", "lost"}});
  out.Counter("baton_kv_pool_probes_total", "Moves tried to measure again, against the cost model")
      .Add(count(c.probes));
  out.Counter("baton_kv_pool_fetched_tokens_total", "Prompt tokens that came from the pool")
      .Add(count(c.tokens_fetched));
  out.Counter("baton_kv_pool_regret_seconds_total", "Time lost by decisions that turned out wrong")
      .Add(absl::ToDoubleSeconds(c.fetch_regret), {{"decision", "fetched"}})
      .Add(absl::ToDoubleSeconds(c.recompute_regret), {{"decision", "recomputed"}});
  out.Counter("baton_kv_pool_guess_seconds_total", "What the cost model guessed of prompts that were fetched")
      .Add(absl::ToDoubleSeconds(c.guessed_moves), {{"of", "move"}})
      .Add(absl::ToDoubleSeconds(c.guessed_computing), {{"of", "compute"}});
  out.Counter("baton_kv_pool_move_seconds_total", "How long these moves took")
      .Add(absl::ToDoubleSeconds(c.moves));
  out.Gauge("baton_kv_pool_saved_seconds", "Time saved by moves, by the guess of computing")
      .Add(absl::ToDoubleSeconds(c.saved));
  out.Gauge("baton_kv_pool_model_bytes_per_second", "Measured bandwidth of moves")
      .Add(stats.bytes_per_second);
  out.Gauge("baton_kv_pool_model_mu_seconds", "Measured cost of a move, whatever its size")
      .Add(absl::ToDoubleSeconds(stats.mu));
  out.Gauge("baton_kv_pool_model_tokens_per_second", "Measured rate of computing")
      .Add(stats.tokens_per_second);
  out.Gauge("baton_kv_pool_model_least_blocks", "Blocks from which on a move is worth it")
      .Add(count(stats.least_blocks));
  out.Counter("baton_kv_pool_offers_total", "Prompts offered to the pool").Add(count(stats.offered));
  out.Counter("baton_kv_pool_blocks_wanted_total", "Blocks that the pool took up")
      .Add(count(stats.wanted_blocks));
}

}  // namespace baton
