#include "tools/load/bench_serve.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "tools/load/progress.h"

namespace baton::load {
namespace {

constexpr double kLeastRequests = 10;                        // that a rate of a sweep is judged by
constexpr absl::Duration kLeadIn = absl::Milliseconds(100);  // to make ready before the first arrival

absl::StatusOr<LoadPlan> PlanOf(const BenchOptions& options, double rate, int repeat) {
  WorkloadSpec spec = options.workload;
  spec.arrivals.rate = rate;
  spec.arrivals.seed += repeat;
  spec.seed += repeat;
  return options.trace.empty() ? MakePlan(spec) : TracePlan(spec, options.trace, options.trace_spec);
}

bool Met(const BenchOptions& options, const RunResult& run) {
  return run.summary.good_share.value_or(0) >= options.attainment;
}

class Bench {
 public:
  Bench(const BenchOptions& options, bool terminal, const Say& say)
      : options_(options), terminal_(terminal), say_(say) {
    record_.started = UtcNow();
    record_.machine = MachineName();
  }

  // All repeats; whether all of them met the SLO.
  absl::StatusOr<bool> AtRate(double rate) {
    bool met = true;
    for (int repeat = 0; repeat < options_.repeats; ++repeat) {
      std::string invalid;
      BATON_ASSIGN_OR_RETURN(RunResult run, RunOnce(options_, rate, repeat, terminal_, say_, invalid));
      if (!invalid.empty()) {
        record_.valid = false;
        record_.invalid_why = absl::StrFormat("at %g requests/s: %s", rate, invalid);
        say_(absl::StrCat("INVALID ", record_.invalid_why), true);
      }
      met = met && Met(options_, run);
      record_.runs.push_back(std::move(run));
    }
    return met;
  }

  absl::Status Search() {
    SweepSpec spec = options_.sweep_spec;
    spec.least_rate = kLeastRequests / absl::ToDoubleSeconds(options_.workload.arrivals.duration);
    Sweep sweep(spec);
    while (const std::optional<double> rate = sweep.Next()) {
      BATON_ASSIGN_OR_RETURN(const bool met, AtRate(*rate));
      say_(absl::StrFormat("%g requests/s: the SLO is %s", *rate, met ? "met" : "missed"), true);
      sweep.Report(met);
    }
    record_.rows.push_back({.name = "highest rate that met the SLO",
                            .value = sweep.highest_met().value_or(0),
                            .unit = "requests/s"});
    return absl::OkStatus();
  }

  RunRecord& record() { return record_; }

 private:
  const BenchOptions& options_;
  bool terminal_;
  const Say& say_;
  RunRecord record_;
};

void AddRows(RunRecord& record) {
  for (const RunResult& run : record.runs) {
    const auto add = [&](const char* name, std::optional<double> value, const char* unit) {
      if (value)
        record.rows.push_back(
            {.name = absl::StrFormat("%s at %g/s", name, run.rate), .value = *value, .unit = unit});
    };
    add("TTFT p50", run.summary.spreads.at("ttft_ms").p50, "ms");
    add("ITL p50", run.summary.spreads.at("itl_ms").p50, "ms");
    add("output", run.summary.output_tokens_per_s, "tokens/s");
    add("goodput", run.summary.goodput_per_s, "requests/s");
  }
}

std::string Cell(std::optional<double> ms) {
  return ms ? absl::StrFormat("%.1f", *ms) : "-";
}

}  // namespace

absl::StatusOr<RunResult> RunOnce(const BenchOptions& options, double rate, int repeat, bool terminal,
                                  const Say& say, std::string& why_invalid) {
  BATON_ASSIGN_OR_RETURN(const LoadPlan plan, PlanOf(options, rate, repeat));
  if (plan.requests.empty()) return absl::InvalidArgumentError("no request arrives within the duration");
  const MonoTime origin = SteadyClock().Now() + kLeadIn;
  Collector collector({origin, options.warmup, plan.duration}, options.slo, options.bin);
  Progress progress(origin, plan.duration, terminal);
  Observer observer;
  observer.on_end = [&](const StreamRecord& record) {
    collector.Add(plan.requests[record.index], record);
    progress.Ended(record);
  };
  observer.on_tick = [&](MonoTime now, absl::Duration late, const Counters& counters) {
    collector.AddLoopLag(late);
    if (const auto line = progress.Line(now, counters)) say(*line, !terminal);
  };
  BATON_RETURN_IF_ERROR(Client(options.client).Run(plan, observer, origin));
  why_invalid = collector.WhyInvalid(options.rule);
  RunResult run = collector.Result();
  run.label = absl::StrFormat("%g/s", rate);
  run.rate = rate;
  run.repeat = repeat;
  say(absl::StrCat("\n", FiguresTable(run)), true);
  return run;
}

absl::StatusOr<RunRecord> RunBench(const BenchOptions& options, bool terminal, const Say& say) {
  if (options.sweep && !options.trace.empty() && options.trace.front().at.has_value())
    return absl::InvalidArgumentError("a sweep needs arrivals by rate: this trace has times of its own");
  Bench bench(options, terminal, say);
  if (options.sweep) {
    BATON_RETURN_IF_ERROR(bench.Search());
  } else {
    for (const double rate : options.rates) BATON_RETURN_IF_ERROR(bench.AtRate(rate).status());
  }
  AddRows(bench.record());
  return std::move(bench.record());
}

std::string FiguresTable(const RunResult& run) {
  const Summary& summary = run.summary;
  std::string text = absl::StrFormat(
      "%g requests/s wanted, repeat %d: %d requests in %.0f s, %d completed, %d cancelled\n"
      "%.2f requests/s, %.1f input and %.1f output tokens/s, goodput %.2f requests/s (%s of the requests "
      "good)\n",
      run.rate, run.repeat, summary.requests, run.duration_s, summary.completed, summary.cancelled,
      summary.requests_per_s, summary.input_tokens_per_s, summary.output_tokens_per_s, summary.goodput_per_s,
      summary.good_share ? absl::StrFormat("%.1f%%", 100 * *summary.good_share) : "-");
  for (const auto& [kind, count] : summary.errors)
    absl::StrAppendFormat(&text, "errors: %d of %s\n", count, kind);
  absl::StrAppendFormat(&text, "%-12s %9s %9s %9s %9s %9s %9s %9s\n", "ms", "count", "mean", "p50", "p90",
                        "p95", "p99", "max");
  for (const char* name : {"ttft_ms", "itl_ms", "tpot_ms", "e2e_ms", "lag_ms", "loop_lag_ms"}) {
    const auto spread = summary.spreads.find(name);
    if (spread == summary.spreads.end()) continue;
    const Spread& s = spread->second;
    absl::StrAppendFormat(&text, "%-12s %9d %9s %9s %9s %9s %9s %9s\n",
                          absl::string_view(name, strlen(name) - 3), s.count, Cell(s.mean), Cell(s.p50),
                          Cell(s.p90), Cell(s.p95), Cell(s.p99), Cell(s.max));
  }
  return text;
}

}  // namespace baton::load
