#include "tools/chaos/scenario_sections.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace baton::chaos {
namespace {

constexpr double kMost = 1e12;

// At least one of two optional bounds.
void ReadBounds(Fields& fields, const YAML::Node& node, std::optional<double>* at_least,
                std::optional<double>* at_most, Problem* problem) {
  double bound = 0;
  if (fields.Real("at_least", -kMost, kMost, &bound)) *at_least = bound;
  if (fields.Real("at_most", -kMost, kMost, &bound)) *at_most = bound;
  if (!*at_least && !*at_most) problem->Add(node, "a bound needs at_least, at_most or both");
}

void ReadRange(Fields& fields, const char* key, TokenRange* range) {
  constexpr int64_t kMostTokens = 1 << 20;
  const YAML::Node node = fields.Node(key);
  if (!node.IsDefined()) return;
  const auto number = [&](const YAML::Node& item, int64_t* result) {
    return item.IsScalar() && absl::SimpleAtoi(item.Scalar(), result) && *result >= 1 &&
           *result <= kMostTokens;
  };
  TokenRange read;
  bool good = false;
  if (node.IsScalar()) {
    good = number(node, &read.least);
    read.most = read.least;
  } else if (node.IsSequence() && node.size() == 2) {
    good = number(node[0], &read.least) && number(node[1], &read.most) && read.least <= read.most;
  }
  if (good)
    *range = read;
  else
    fields.Refuse(key, "must be a number of tokens from 1 on, or [least, most]");
}

std::vector<TenantSpec> ReadTenants(const YAML::Node& node, const LoadSpec& load, Problem* problem) {
  std::vector<TenantSpec> tenants;
  if (!node.IsDefined() || node.IsNull()) return tenants;
  if (!node.IsSequence()) problem->Add(node, "load.tenants must be a list");
  for (size_t i = 0; node.IsSequence() && i < node.size(); ++i) {
    TenantSpec tenant{.prompt_tokens = load.prompt_tokens, .output_tokens = load.output_tokens};
    Fields fields(node[i], "tenant", problem);
    fields.Need("name");
    fields.Text("name", &tenant.name);
    fields.Real("share", 1e-6, 1e6, &tenant.share);
    fields.Number("priority", -1000, 1000, &tenant.priority);
    ReadRange(fields, "prompt_tokens", &tenant.prompt_tokens);
    ReadRange(fields, "output_tokens", &tenant.output_tokens);
    fields.Done();
    tenants.push_back(tenant);
  }
  return tenants;
}

std::vector<Bound> ReadBoundList(const YAML::Node& node, Problem* problem) {
  std::vector<Bound> bounds;
  if (!node.IsDefined() || node.IsNull()) return bounds;
  if (!node.IsSequence()) problem->Add(node, "checks.bounds must be a list");
  for (size_t i = 0; node.IsSequence() && i < node.size(); ++i) {
    Bound bound;
    Fields fields(node[i], "bound", problem);
    fields.Need("metric");
    fields.Text("metric", &bound.metric);
    ReadBounds(fields, node[i], &bound.at_least, &bound.at_most, problem);
    fields.Done();
    bounds.push_back(bound);
  }
  return bounds;
}

}  // namespace

ClusterShape ReadCluster(const YAML::Node& node, Problem* problem) {
  ClusterShape cluster;
  Fields fields(node, "cluster", problem);
  fields.Number("prefill", 0, 64, &cluster.prefill);
  fields.Number("decode", 1, 64, &cluster.decode);
  fields.Number("ranks", 1, 64, &cluster.ranks);
  fields.Number("threads", 0, 1024, &cluster.threads);
  fields.Text("model", &cluster.model);
  fields.Number("kv_pool_mb", 0, 1 << 24, &cluster.kv_pool_mb);
  fields.Number("kv_disk_mb", 0, 1 << 24, &cluster.kv_disk_mb);
  fields.Words("worker_flags", &cluster.worker_flags);
  fields.Words("router_flags", &cluster.router_flags);
  fields.Words("pool_flags", &cluster.pool_flags);
  fields.Map("programs", &cluster.programs);
  fields.Flag("own_networks", &cluster.own_networks);
  fields.Span("restart_after", &cluster.restart_after, true);
  fields.Span("start_within", &cluster.start_within);
  if (cluster.kv_disk_mb > 0 && cluster.kv_pool_mb == 0)
    fields.Refuse("kv_disk_mb", "needs kv_pool_mb: it is the pool's second tier");
  fields.Done();
  return cluster;
}

Deployment ReadDeployment(const YAML::Node& node, Problem* problem) {
  Deployment deployment;
  Fields fields(node, "deployment", problem);
  fields.Text("url", &deployment.url);
  fields.Text("container", &deployment.container);
  fields.Text("network", &deployment.network);
  fields.Number("metrics_port", 1, 65535, &deployment.metrics_port);
  fields.Text("kubernetes_namespace", &deployment.kubernetes_namespace);
  fields.Text("kubernetes_context", &deployment.kubernetes_context);
  fields.Text("pod", &deployment.pod);
  fields.Done();
  return deployment;
}

LoadSpec ReadLoad(const YAML::Node& node, Problem* problem) {
  LoadSpec load;
  Fields fields(node, "load", problem);
  fields.Choice("arrivals", {"constant", "poisson", "gamma", "ramp", "trace"}, &load.arrivals);
  fields.Real("rate", 1e-3, 1e5, &load.rate);
  fields.Real("rate_to", 1e-3, 1e5, &load.rate_to);
  fields.Real("burstiness", 1e-2, 1e3, &load.burstiness);
  fields.Span("duration", &load.duration);
  fields.Span("warmup", &load.warmup);
  fields.Number("most_requests", int64_t{0}, int64_t{10000000}, &load.most_requests);
  fields.Seed("seed", &load.seed);
  ReadRange(fields, "prompt_tokens", &load.prompt_tokens);
  ReadRange(fields, "output_tokens", &load.output_tokens);
  fields.Flag("ignore_eos", &load.ignore_eos);
  fields.Real("temperature", 0, 2, &load.temperature);
  fields.Number("shared_prefix_tokens", int64_t{0}, int64_t{1} << 20, &load.shared_prefix_tokens);
  fields.Number("prefixes", int64_t{1}, int64_t{1000000}, &load.prefixes);
  fields.Number("turns", 1, 1000, &load.turns);
  fields.Span("think_time", &load.think_time);
  load.tenants = ReadTenants(fields.Node("tenants"), load, problem);
  fields.Real("cancel_share", 0, 1, &load.cancel_share);
  fields.Number("cancel_after_tokens", int64_t{1}, int64_t{1} << 20, &load.cancel_after_tokens);
  fields.Text("trace", &load.trace);
  fields.Choice("trace_format", {"mooncake", "azure", "sharegpt"}, &load.trace_format);
  fields.Real("rate_scale", 1e-3, 1e3, &load.rate_scale);
  fields.Real("length_scale", 1e-3, 1e3, &load.length_scale);
  fields.Span("timeout", &load.timeout);
  if (load.arrivals == "ramp" && load.rate_to == 0) fields.Refuse("arrivals", "a ramp needs rate_to");
  if (load.arrivals == "trace") {
    fields.Need("trace");
    fields.Need("trace_format");
  }
  if (load.warmup >= load.duration) fields.Refuse("warmup", "must be shorter than load.duration");
  fields.Done();
  return load;
}

CheckSpec ReadChecks(const YAML::Node& node, Problem* problem) {
  CheckSpec checks;
  Fields fields(node, "checks", problem);
  fields.Flag("streams_end", &checks.streams_end);
  fields.Flag("tokens_equal", &checks.tokens_equal);
  fields.Flag("no_leak", &checks.no_leak);
  fields.Flag("client_kept_schedule", &checks.client_kept_schedule);
  if (std::string errors; fields.Text("errors_at_most", &errors)) {
    int most = 0;
    if (errors == "any")
      checks.errors_at_most.reset();
    else if (absl::SimpleAtoi(errors, &most) && most >= 0)
      checks.errors_at_most = most;
    else
      fields.Refuse("errors_at_most", absl::StrCat("must be a number from 0 on, or any, not '", errors, "'"));
  }
  fields.Flag("refusals_are_errors", &checks.refusals_are_errors);
  fields.Span("end_within", &checks.end_within);
  fields.Span("idle_within", &checks.idle_within);
  if (const YAML::Node inner = fields.Node("recovery"); inner.IsDefined() && !inner.IsNull()) {
    Recovery recovery;
    Fields of(inner, "recovery", problem);
    of.Need("within");
    of.Span("within", &recovery.within);
    of.Text("series", &recovery.series);
    of.Real("factor", 0.01, 1, &recovery.factor);
    of.Done();
    checks.recovery = recovery;
  }
  fields.Flag("pages_add_up", &checks.pages_add_up);
  if (double mb = 0; fields.Real("memory_growth_mb", 0, 1e9, &mb)) checks.memory_growth_mb = mb;
  if (double share = 0; fields.Real("handoffs_held", 0, 1, &share)) checks.handoffs_held = share;
  if (absl::Duration gap; fields.Span("gap_at_faults", &gap)) checks.gap_at_faults = gap;
  checks.bounds = ReadBoundList(fields.Node("bounds"), problem);
  fields.Done();
  return checks;
}

Slo ReadSlo(const YAML::Node& node, Problem* problem) {
  Slo slo;
  Fields fields(node, "slo", problem);
  fields.Real("ttft_ms", 0.001, 1e9, &slo.ttft_ms);
  fields.Real("tpot_ms", 0.001, 1e9, &slo.tpot_ms);
  fields.Done();
  return slo;
}

std::vector<Comparison> ReadCompare(const YAML::Node& node, Problem* problem) {
  std::vector<Comparison> compare;
  if (!node.IsDefined() || node.IsNull()) return compare;
  if (!node.IsSequence()) problem->Add(node, "compare must be a list");
  for (size_t i = 0; node.IsSequence() && i < node.size(); ++i) {
    Comparison one;
    Fields fields(node[i], "compare", problem);
    for (const char* key : {"metric", "left", "right"}) fields.Need(key);
    fields.Text("metric", &one.metric);
    fields.Text("left", &one.left);
    fields.Text("right", &one.right);
    ReadBounds(fields, node[i], &one.at_least, &one.at_most, problem);
    if (double rate = 0; fields.Real("rate", 1e-3, 1e5, &rate)) one.rate = rate;
    fields.Done();
    compare.push_back(one);
  }
  return compare;
}

}  // namespace baton::chaos
