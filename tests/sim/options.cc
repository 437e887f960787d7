#include "tests/sim/options.h"

namespace baton::sim {
namespace {

FaultPlan DrawFaults(Prng& prng) {
  FaultPlan plan;
  plan.calm = prng.Chance(150);
  if (plan.calm) return plan;
  if (prng.Chance(600)) {
    plan.links.loss = static_cast<int>(prng.Range(0, 120));
    plan.links.duplicate = static_cast<int>(prng.Range(0, 100));
    plan.links.late = static_cast<int>(prng.Range(0, 100));
    if (prng.Chance(300)) plan.links.delay_max = absl::Milliseconds(prng.Range(1, 60));
  }
  if (prng.Chance(350)) plan.links.corrupt = static_cast<int>(prng.Range(1, 200));
  if (prng.Chance(300)) plan.busy_per_mille = static_cast<int>(prng.Range(1, 150));
  if (prng.Chance(400)) {
    plan.slow_fence_per_mille = static_cast<int>(prng.Range(50, 1000));
    if (prng.Chance(150)) plan.slow_fence = absl::Seconds(8);
  }
  if (prng.Chance(350)) plan.crashes = static_cast<int>(prng.Range(1, 4));
  if (prng.Chance(120)) plan.deaths = 1;
  if (prng.Chance(300)) plan.pauses = static_cast<int>(prng.Range(1, 4));
  if (prng.Chance(300)) plan.partitions = static_cast<int>(prng.Range(1, 4));
  if (prng.Chance(350)) plan.call_breaks = static_cast<int>(prng.Range(1, 8));
  if (prng.Chance(200)) plan.router_faults = static_cast<int>(prng.Range(1, 2));
  if (prng.Chance(150)) plan.drains = 1;
  if (prng.Chance(100)) plan.role_flips = 1;
  if (prng.Chance(400)) plan.moves = static_cast<int>(prng.Range(4, 60));
  return plan;
}

EngineOptions DrawEngine(Prng& prng) {
  EngineOptions engine;
  engine.token_budget = prng.Range(8, 96);
  engine.max_running = prng.Range(2, 10);
  engine.max_sequences = prng.Chance(200) ? prng.Range(2, 6) : 64;
  engine.prefill_chunk = prng.Range(8, 64);
  engine.prefix_cache = !prng.Chance(150);
  return engine;
}

// So many sequences grow at once that their pages run out.
void DrawTight(Prng& prng, WorldOptions* options) {
  options->prefill_pages = prng.Range(10, 28);
  options->decode_pages = prng.Range(10, 28);
  options->decode_engine.max_running = prng.Range(6, 12);
  options->max_new = prng.Range(30, 90);
  options->max_prompt = prng.Range(8, 60);
  options->runner.layout.atoms_per_page = 1;
  options->admit_inflight = 40;
  options->arrivals = absl::Milliseconds(prng.Range(1, 40));
  options->requests += 8;
  options->direct_below = static_cast<uint32_t>(prng.Range(0, 60));
}

}  // namespace

WorldOptions DrawOptions(uint64_t seed) {
  Prng prng(seed ^ 0x6f7074696f6e73u);
  WorldOptions options;
  options.seed = seed;
  options.topology.prefills = static_cast<int>(prng.Range(1, 2));
  options.topology.decodes = static_cast<int>(prng.Range(1, 3));
  options.faults = DrawFaults(prng);
  options.runner.layout = {.layers = 2, .kv_heads = 1, .head_dim = 4, .dtype = KvDtype::kF16};
  options.runner.layout.atoms_per_page = prng.Chance(250) ? 2 : 1;
  options.runner.vocab = 24;
  options.runner.max_context = 224;
  options.runner.eos_period = prng.Chance(500) ? static_cast<uint32_t>(prng.Range(6, 40)) : 0;
  options.prefill_engine = DrawEngine(prng);
  options.decode_engine = DrawEngine(prng);
  options.requests = static_cast<int>(prng.Range(6, 24));
  options.step_time = absl::Microseconds(prng.Range(50, 2000));
  if (prng.Chance(500)) options.retry_backoff = absl::Milliseconds(1);
  options.max_prompt = prng.Range(24, 140);
  options.max_new = prng.Range(4, 40);
  options.arrivals = absl::Milliseconds(prng.Range(5, 4000));
  options.prefill_pages = prng.Range(40, 96);
  options.decode_pages = prng.Range(40, 96);
  if (options.faults.calm) {
    options.prefill_engine.max_sequences = options.decode_engine.max_sequences = 64;
    options.prefill_pages = options.decode_pages = 400;
    options.admit_inflight = 64;
    return options;
  }
  if (prng.Chance(500)) options.cancel_per_mille = static_cast<int>(prng.Range(50, 500));
  if (prng.Chance(300)) options.slow_per_mille = static_cast<int>(prng.Range(50, 600));
  if (prng.Chance(300)) options.deadline_per_mille = static_cast<int>(prng.Range(50, 400));
  if (prng.Chance(400)) options.emission_buffer = prng.Range(4, 24);
  if (prng.Chance(300)) options.admit_inflight = static_cast<uint64_t>(prng.Range(2, 6));
  if (prng.Chance(300)) options.admit_queue = static_cast<uint64_t>(prng.Range(0, 4));
  if (prng.Chance(350)) DrawTight(prng, &options);
  return options;
}

const char* MutationName(Mutation mutation) {
  static constexpr const char* kNames[] = {
      "none",         "skip confirm",     "trust unverified", "no quarantine",
      "forget fence", "forget lease end", "early fence",      "accept old attempt",
      "lose token",   "repeat position",  "forget release",   "serve superseded",
      "adopt early",  "publish lost"};
  return kNames[static_cast<int>(mutation)];
}

}  // namespace baton::sim
