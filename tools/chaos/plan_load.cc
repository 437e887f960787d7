#include <cmath>

#include "common/status_macros.h"
#include "tools/chaos/send_load.h"
#include "tools/load/workload.h"

namespace baton::chaos {
namespace {

load::Lengths LengthsOf(const TokenRange& range) {
  load::Lengths lengths;
  lengths.kind = range.least == range.most ? load::Lengths::Kind::kFixed : load::Lengths::Kind::kUniform;
  lengths.first = static_cast<double>(range.least);
  lengths.second = static_cast<double>(range.most);
  return lengths;
}

}  // namespace

absl::StatusOr<load::LoadPlan> PlanLoad(const LoadSpec& spec, double rate) {
  load::WorkloadSpec workload;
  if (spec.arrivals != "trace") {
    BATON_ASSIGN_OR_RETURN(workload.arrivals.kind, load::ParseArrivalKind(spec.arrivals));
  }
  workload.arrivals.rate = rate;
  workload.arrivals.rate_to = spec.rate_to > 0 ? spec.rate_to : rate;
  workload.arrivals.cv = std::sqrt(spec.burstiness);
  workload.arrivals.duration = spec.duration;
  if (spec.most_requests > 0) workload.arrivals.most = spec.most_requests;
  workload.arrivals.seed = workload.seed = spec.seed;
  workload.prompt = LengthsOf(spec.prompt_tokens);
  workload.answer = LengthsOf(spec.output_tokens);
  workload.shared_tokens = spec.shared_prefix_tokens;
  workload.shared_prompts = spec.shared_prefix_tokens > 0 ? spec.prefixes : 0;
  workload.turns = spec.turns;
  workload.think = spec.think_time;
  for (const TenantSpec& tenant : spec.tenants) {
    workload.tenants.push_back({tenant.name, tenant.share, tenant.priority, LengthsOf(tenant.prompt_tokens),
                                LengthsOf(tenant.output_tokens)});
  }
  workload.cancel_share = spec.cancel_share;
  workload.cancel_after = spec.cancel_after_tokens;
  workload.ignore_eos = spec.ignore_eos;
  workload.temperature = spec.temperature;
  if (spec.arrivals != "trace") return load::MakePlan(workload);
  BATON_ASSIGN_OR_RETURN(const std::vector<load::TraceRow> rows,
                         load::ReadTrace(spec.trace, spec.trace_format));
  load::TraceSpec trace;
  trace.speed = spec.rate_scale;
  trace.length_scale = spec.length_scale;
  return load::TracePlan(workload, rows, trace);
}

}  // namespace baton::chaos
