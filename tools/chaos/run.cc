#include "tools/chaos/run.h"

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/status_macros.h"
#include "tools/chaos/fault_gaps.h"
#include "tools/chaos/fault_run.h"
#include "tools/chaos/sampler.h"
#include "tools/chaos/snapshot.h"
#include "tools/load/histogram.h"

namespace baton::chaos {
namespace {

constexpr absl::Duration kLook = absl::Milliseconds(200);
constexpr absl::Duration kSettleWithin = absl::Seconds(30);
constexpr absl::Duration kSampleEvery = absl::Milliseconds(500);
constexpr absl::Duration kHeadStart = absl::Milliseconds(200);

void Pause(absl::Duration time) {
  absl::Mutex mutex;
  const bool never = false;
  absl::MutexLock lock(&mutex);
  mutex.AwaitWithTimeout(absl::Condition(&never), time);
}

// The first idle snapshot, or the last one within the time.
Snapshot WaitIdle(Driver& driver, MonoTime start, absl::Duration within, const Progress& progress,
                  const GivenUp& given_up) {
  const SteadyClock clock;
  const MonoTime deadline = clock.Now() + within;
  for (;;) {
    const Snapshot snapshot = TakeSnapshot(driver, absl::ToDoubleSeconds(clock.Now() - start));
    const std::string why = WhyNotIdle(snapshot);
    if (why.empty() || clock.Now() >= deadline || given_up()) return snapshot;
    progress(absl::StrCat("waiting for idle: ", why));
    Pause(kLook);
  }
}

void AddSpread(const std::string& name, const load::Spread& spread, std::map<std::string, double>* figures) {
  const auto add = [&](const char* part, const std::optional<double>& value) {
    if (value) (*figures)[absl::StrCat(name, ".", part)] = *value;
  };
  (*figures)[absl::StrCat(name, ".count")] = static_cast<double>(spread.count);
  add("mean", spread.mean);
  add("p50", spread.p50);
  add("p90", spread.p90);
  add("p95", spread.p95);
  add("p99", spread.p99);
  add("p999", spread.p999);
  add("max", spread.max);
}

void FillFromLoad(LoadOutcome& load, const RunWish& wish, RunOutcome* outcome) {
  Evidence& evidence = outcome->evidence;
  evidence.streams = std::move(load.streams);
  evidence.client_kept_schedule = load.kept_schedule;
  evidence.client_lag = load.lag;
  evidence.load_end_s = load.load_end_s;
  evidence.drained_s = load.drained_s;
  if (!evidence.faults.empty()) {
    load::Histogram gaps;
    for (const double gap : GapsAtFaults(evidence)) gaps.Add(absl::Seconds(gap));
    load.result.summary.spreads["fault_gap_ms"] = gaps.ToSpread();
  }
  evidence.figures = Flatten(load.result.summary);
  evidence.bin_s = load.result.timeline.bin_s;
  evidence.series = load.result.timeline.series;
  outcome->result = std::move(load.result);
  outcome->result.label = wish.label;
  outcome->result.rate = wish.rate;
  outcome->result.repeat = wish.repeat;
  for (const FaultMark& mark : evidence.faults) {
    if (!mark.failed.empty()) continue;
    outcome->result.marks.push_back({mark.began_s, NameOf(mark.fault.kind), Describe(mark.fault)});
    if (mark.ended_s) {
      outcome->result.marks.push_back(
          {*mark.ended_s, Lasts(mark.fault.kind) ? "undone" : "back", mark.fault.target});
    }
  }
}

}  // namespace

std::map<std::string, double> Flatten(const load::Summary& summary) {
  std::map<std::string, double> figures = {{"requests", static_cast<double>(summary.requests)},
                                           {"completed", static_cast<double>(summary.completed)},
                                           {"cancelled", static_cast<double>(summary.cancelled)},
                                           {"requests_per_s", summary.requests_per_s},
                                           {"input_tokens_per_s", summary.input_tokens_per_s},
                                           {"output_tokens_per_s", summary.output_tokens_per_s},
                                           {"goodput_per_s", summary.goodput_per_s}};
  if (summary.good_share) figures["good_share"] = *summary.good_share;
  for (const auto& [name, spread] : summary.spreads) AddSpread(name, spread, &figures);
  double errors = 0;
  for (const auto& [kind, count] : summary.errors) {
    figures[absl::StrCat("errors.", kind)] = static_cast<double>(count);
    errors += static_cast<double>(count);
  }
  figures["errors"] = errors;
  for (const auto& [tenant, inner] : summary.tenants) {
    for (const auto& [name, value] : Flatten(inner))
      figures[absl::StrCat("tenants.", tenant, ".", name)] = value;
  }
  return figures;
}

absl::StatusOr<RunOutcome> RunOnce(const Scenario& scenario, const RunWish& wish, const RunParts& parts,
                                   const Progress& progress, const GivenUp& given_up) {
  const SteadyClock clock;
  const std::unique_ptr<Driver> driver = parts.make_driver(scenario, wish.log_dir);
  progress("starting the cluster");
  BATON_RETURN_IF_ERROR(driver->Start(progress, given_up));
  RunOutcome outcome;
  Evidence& evidence = outcome.evidence;
  evidence.label = wish.label;
  evidence.rate = wish.rate;
  evidence.repeat = wish.repeat;
  evidence.before = WaitIdle(*driver, clock.Now(), kSettleWithin, progress, given_up);
  if (const std::string why = WhyNotIdle(evidence.before); !why.empty())
    return absl::AbortedError(absl::StrCat("the cluster did not come to rest before the load: ", why));

  const MonoTime start = clock.Now() + kHeadStart;
  FaultRun faults(*driver, wish.schedule, start);
  Sampler sampler(*driver, start, kSampleEvery);
  const Progress loading = [&](const std::string& text) {
    const std::string last = faults.last();
    progress(last.empty() ? text : absl::StrCat(text, "; ", last));
  };
  absl::StatusOr<LoadOutcome> load = parts.load(scenario, wish.rate, driver->url(), start, loading, given_up);
  evidence.during = sampler.Stop();
  evidence.faults = faults.Stop();
  BATON_RETURN_IF_ERROR(load.status());
  if (given_up()) return absl::CancelledError("stopped");
  FillFromLoad(*load, wish, &outcome);
  evidence.after = WaitIdle(*driver, start, scenario.checks.idle_within, progress, given_up);
  evidence.processes = driver->Processes();
  progress("stopping the cluster");
  BATON_RETURN_IF_ERROR(driver->Stop());
  return outcome;
}

}  // namespace baton::chaos
