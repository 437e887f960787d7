#include "tools/chaos/experiment.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "tools/chaos/schedule.h"
#include "tools/ctl/files.h"
#include "tools/ctl/table.h"

namespace baton::chaos {
namespace {

struct Planned {
  const Scenario* scenario;
  RunWish wish;
};

std::string LabelOf(const Scenario& scenario) {
  return scenario.variant.empty() ? scenario.name : scenario.variant;
}

absl::StatusOr<std::vector<Planned>> PlanRuns(const ScenarioFile& file, const ExperimentWish& wish) {
  std::vector<Planned> runs;
  for (const Scenario& scenario : file.variants) {
    if (wish.variant && scenario.variant != *wish.variant) continue;
    const std::vector<double> rates =
        scenario.rates.empty() ? std::vector<double>{scenario.load.rate} : scenario.rates;
    for (const double rate : rates) {
      for (int repeat = 0; repeat < scenario.repeats; ++repeat) {
        RunWish run{LabelOf(scenario), rate, repeat, {}, ""};
        BATON_ASSIGN_OR_RETURN(run.schedule, ScheduleOf(scenario, wish, repeat));
        run.log_dir = absl::StrFormat("%s/%s-%g-%d", wish.out_dir, run.label, rate, repeat);
        runs.push_back({&scenario, std::move(run)});
      }
    }
  }
  if (runs.empty()) {
    std::string names;
    for (const Scenario& scenario : file.variants) absl::StrAppend(&names, " ", scenario.variant);
    return absl::InvalidArgumentError(absl::StrCat("there is no such variant; there are:", names));
  }
  return runs;
}

// In the order of the repeats, then of variants, so that what drifts on the machine strikes them all alike.
void Interleave(std::vector<Planned>* runs) {
  std::stable_sort(runs->begin(), runs->end(),
                   [](const Planned& a, const Planned& b) { return a.wish.repeat < b.wish.repeat; });
}

absl::Status KeepSchedule(const RunWish& wish) {
  std::error_code error;
  std::filesystem::create_directories(wish.log_dir, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", wish.log_dir, ": ", error.message()));
  return ctl::WriteFileAtomically(wish.log_dir + "/faults.json", ToJson(wish.schedule));
}

std::string NameOfRun(const RunWish& wish) {
  return absl::StrFormat("%s at %g/s, %d", wish.label, wish.rate, wish.repeat + 1);
}

void FillConfig(const ScenarioFile& file, const ExperimentWish& wish, load::RunRecord* record) {
  const Scenario& first = file.variants.front();
  record->name = file.name;
  record->hypothesis = file.hypothesis;
  record->expected = file.expected.holds;
  record->config = {{"scenario", file.text},
                    {"model", first.cluster.model},
                    {"arrivals", first.load.arrivals},
                    {"duration", absl::FormatDuration(first.load.duration)},
                    {"slo", absl::StrFormat("TTFT %g ms, TPOT %g ms", first.slo.ttft_ms, first.slo.tpot_ms)},
                    {"seed", absl::StrCat(wish.seed.value_or(first.seed))}};
  if (!file.expected.holds) record->config["expected to fail because"] = file.expected.because;
  for (const Scenario& scenario : file.variants) {
    record->config[absl::StrCat("cluster ", LabelOf(scenario))] =
        absl::StrFormat("%d prefill, %d decode, %d ranks each", scenario.cluster.prefill,
                        scenario.cluster.decode, scenario.cluster.ranks);
  }
}

void Conclude(const ScenarioFile& file, const std::vector<Evidence>& runs, bool alone,
              ExperimentOutcome* outcome) {
  load::RunRecord& record = outcome->record;
  for (const Compared& compared : alone ? std::vector<Compared>() : Compare(file.compare, runs)) {
    record.checks.push_back({compared.check.name, compared.check.ok, compared.check.detail});
    if (compared.row) record.rows.push_back(*compared.row);
  }
  outcome->held = std::all_of(record.checks.begin(), record.checks.end(),
                              [](const load::Check& check) { return check.ok; });
  outcome->verdict = !record.valid                          ? Verdict::kInconclusive
                     : outcome->held == file.expected.holds ? Verdict::kAsExpected
                                                            : Verdict::kUnexpected;
  if (record.valid) record.held = outcome->held;
}

std::string Figure(const std::optional<double>& value) {
  return value ? absl::StrFormat("%.4g", *value) : "-";
}

// A table of its own, if a stream ran at a fault.
std::string WaitsAtFaults(const load::RunRecord& record) {
  std::vector<std::vector<std::string>> rows = {
      {"LONGEST WAIT AT A FAULT", "RATE", "NO", "STREAMS", "p50 ms", "p99", "max"}};
  for (const load::RunResult& run : record.runs) {
    const auto found = run.summary.spreads.find("fault_gap_ms");
    if (found == run.summary.spreads.end() || found->second.count == 0) continue;
    const load::Spread& gaps = found->second;
    rows.push_back({run.label, absl::StrFormat("%g", run.rate), absl::StrCat(run.repeat + 1),
                    absl::StrCat(gaps.count), Figure(gaps.p50), Figure(gaps.p99), Figure(gaps.max)});
  }
  return rows.size() > 1 ? "\n" + ctl::FormatTable(rows) : "";
}

std::vector<std::string> RowOf(const load::RunResult& run) {
  const auto spread = [&](const char* name) {
    const auto found = run.summary.spreads.find(name);
    return found == run.summary.spreads.end() ? load::Spread{} : found->second;
  };
  int64_t errors = 0;
  for (const auto& [kind, count] : run.summary.errors) errors += count;
  return {run.label,
          absl::StrFormat("%g", run.rate),
          absl::StrCat(run.repeat + 1),
          absl::StrCat(run.summary.requests),
          absl::StrCat(errors),
          Figure(spread("ttft_ms").p50),
          Figure(spread("ttft_ms").p90),
          Figure(spread("itl_ms").p50),
          Figure(spread("itl_ms").p99),
          Figure(spread("itl_ms").max),
          Figure(run.summary.output_tokens_per_s),
          Figure(run.summary.goodput_per_s)};
}

}  // namespace

absl::StatusOr<Schedule> ScheduleOf(const Scenario& scenario, const ExperimentWish& wish, int repeat) {
  if (!wish.replay) {
    const uint64_t seed = wish.seed.value_or(scenario.seed) + static_cast<uint64_t>(repeat);
    return MakeSchedule(scenario.faults, scenario.cluster, seed);
  }
  BATON_RETURN_IF_ERROR(CheckSchedule(*wish.replay, scenario.cluster));
  return *wish.replay;
}

absl::StatusOr<ExperimentOutcome> RunExperiment(const ScenarioFile& file, const ExperimentWish& wish,
                                                const ExperimentParts& parts, const Progress& progress,
                                                const GivenUp& given_up) {
  BATON_ASSIGN_OR_RETURN(std::vector<Planned> planned, PlanRuns(file, wish));
  Interleave(&planned);
  ExperimentOutcome outcome;
  outcome.record.started = load::UtcNow();
  FillConfig(file, wish, &outcome.record);
  std::vector<Evidence> runs;
  for (const Planned& one : planned) {
    const std::string name = NameOfRun(one.wish);
    const std::string where =
        absl::StrCat("run ", runs.size() + 1, " of ", planned.size(), " (", name, "): ");
    const Progress told = [&](const std::string& text) { progress(where + text); };
    BATON_RETURN_IF_ERROR(KeepSchedule(one.wish));
    absl::StatusOr<RunOutcome> ran = RunOnce(*one.scenario, one.wish, parts.run, told, given_up);
    if (!ran.ok()) return absl::Status(ran.status().code(), absl::StrCat(name, ": ", ran.status().message()));
    told("checking");
    BATON_ASSIGN_OR_RETURN(const std::vector<CheckResult> checks,
                           parts.judge(*one.scenario, ran->evidence, one.wish.log_dir));
    for (const CheckResult& check : checks)
      outcome.record.checks.push_back({absl::StrCat(name, ": ", check.name), check.ok, check.detail});
    if (one.scenario->checks.client_kept_schedule && !ran->evidence.client_kept_schedule) {
      outcome.record.valid = false;
      outcome.record.invalid_why = absl::StrCat(name, ": ", ran->evidence.client_lag);
    }
    outcome.record.runs.push_back(std::move(ran->result));
    ran->evidence.streams.clear();
    runs.push_back(std::move(ran->evidence));
  }
  Conclude(file, runs, wish.variant.has_value(), &outcome);
  return outcome;
}

std::string Describe(const ScenarioFile& file, const ExperimentOutcome& outcome) {
  std::vector<std::vector<std::string>> rows = {{"RUN", "RATE", "NO", "REQUESTS", "ERRORS", "TTFT p50", "p90",
                                                 "ITL p50", "p99", "max ms", "TOKENS/s", "GOOD/s"}};
  for (const load::RunResult& run : outcome.record.runs) rows.push_back(RowOf(run));
  std::string text = ctl::FormatTable(rows) + WaitsAtFaults(outcome.record);
  size_t held = 0;
  for (const load::Check& check : outcome.record.checks) {
    held += check.ok ? 1 : 0;
    if (!check.ok) absl::StrAppend(&text, "FAILED  ", check.name, ": ", check.detail, "\n");
  }
  absl::StrAppend(&text, "\nchecks:     ", held, " of ", outcome.record.checks.size(), " hold\n");
  absl::StrAppend(&text, "hypothesis: ", file.hypothesis, "\n");
  if (outcome.verdict == Verdict::kInconclusive) {
    absl::StrAppend(&text, "verdict:    none: ", outcome.record.invalid_why, "\n");
    return text;
  }
  const char* said = outcome.held ? "HELD" : "FAILED";
  if (outcome.verdict == Verdict::kAsExpected) {
    absl::StrAppend(&text, "verdict:    ", said, ", as expected",
                    file.expected.holds ? "" : absl::StrCat(" (", file.expected.because, ")"), "\n");
  } else {
    absl::StrAppend(&text, "verdict:    ", said, ", but it was expected to ",
                    file.expected.holds ? "hold"
                                        : absl::StrCat("fail (", file.expected.because,
                                                       "): set `expected: holds` in the scenario"),
                    " !!\n");
  }
  return text;
}

}  // namespace baton::chaos
