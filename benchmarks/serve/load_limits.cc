// load_limits: how many streams and tokens a second the load generator bears on one core, and how wrong its
// times are there, against an endpoint whose times are known.

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_format.h"
#include "benchmarks/serve/fake_endpoint.h"
#include "tools/load/bench_serve.h"

ABSL_FLAG(std::string, json, "", "write the run record here");
ABSL_FLAG(bool, quick, false, "under two minutes");
ABSL_FLAG(std::string, commit, "unknown", "recorded");

namespace baton::load {
namespace {

constexpr absl::Duration kTtft = absl::Milliseconds(50), kItl = absl::Milliseconds(40);

absl::Duration OwnCpuTime() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return absl::DurationFromTimespec(used);
}

std::string LoadAverage() {
  std::ifstream file("/proc/loadavg");
  std::string text;
  std::getline(file, text);
  return text;
}

// About `streams` at once: each lasts four seconds, and they arrive evenly.
BenchOptions Options(int port, int64_t streams, absl::Duration duration) {
  BenchOptions options;
  options.client.host = "127.0.0.1";
  options.client.port = std::to_string(port);
  options.client.style.model = "fake";
  options.workload.arrivals.kind = ArrivalKind::kConstant;
  options.workload.arrivals.duration = duration;
  options.workload.prompt.first = 32;
  options.workload.answer.first = 100;
  options.rates = {static_cast<double>(streams) / absl::ToDoubleSeconds(kTtft + 99 * kItl)};
  options.warmup = absl::Seconds(5);
  return options;
}

void AddRows(int64_t streams, const RunResult& run, const Spread& fake_lag, double own_cpu, double fake_cpu,
             RunRecord& record) {
  const auto& spreads = run.summary.spreads;
  const std::string at = absl::StrFormat("%d streams: ", streams);
  const auto add = [&](const char* name, std::optional<double> value, const char* unit, const char* peer,
                       std::optional<double> peer_value) {
    if (value) record.rows.push_back({at + name, *value, unit, peer, peer_value});
  };
  const double wanted = run.rate * 100;
  record.rows.push_back({at + "tokens a second", run.summary.output_tokens_per_s, "tokens/s",
                         "the endpoint's schedule", wanted, run.summary.output_tokens_per_s / wanted});
  add("TTFT p50", spreads.at("ttft_ms").p50, "ms", "set", absl::ToDoubleMilliseconds(kTtft));
  add("ITL p50", spreads.at("itl_ms").p50, "ms", "set", absl::ToDoubleMilliseconds(kItl));
  add("TTFT p99", spreads.at("ttft_ms").p99, "ms", "set, and the endpoint's own lag p99",
      absl::ToDoubleMilliseconds(kTtft) + fake_lag.p99.value_or(0));
  add("sent late p99", spreads.at("lag_ms").p99, "ms", "", std::nullopt);
  add("event loop late p99", spreads.at("loop_lag_ms").p99, "ms", "", std::nullopt);
  add("share of a core, of the client", own_cpu, "", "of the endpoint", fake_cpu);
}

absl::Status RunAll(RunRecord& record, bool quick) {
  const std::vector<int64_t> all =
      quick ? std::vector<int64_t>{500, 2000} : std::vector<int64_t>{100, 500, 1000, 2000, 3000};
  const absl::Duration duration = absl::Seconds(quick ? 15 : 25);
  const Say say = [](const std::string& line, bool lasting) {
    if (lasting) std::fprintf(stderr, "%s\n", line.c_str());
  };
  for (const int64_t streams : all) {
    const auto fake = FakeEndpoint::Start({kTtft, kItl, 0}, 0);
    if (!fake.ok()) return fake.status();
    const absl::Duration own_before = OwnCpuTime();
    const MonoTime began = SteadyClock().Now();
    std::string invalid;
    auto run = RunOnce(Options((*fake)->port(), streams, duration), Options(0, streams, duration).rates[0], 0,
                       false, say, invalid);
    if (!run.ok()) return run.status();
    const double seconds = absl::ToDoubleSeconds(SteadyClock().Now() - began);
    const Spread fake_lag = (*fake)->TakeLag().ToSpread();
    AddRows(streams, *run, fake_lag, absl::ToDoubleSeconds(OwnCpuTime() - own_before) / seconds,
            absl::ToDoubleSeconds((*fake)->CpuTime()) / seconds, record);
    const std::string at = absl::StrFormat("%d streams", streams);
    record.checks.push_back({at + ": the client kept its schedule", invalid.empty(), invalid});
    record.config["load average after " + at] = LoadAverage();
    run->label = at;
    record.runs.push_back(std::move(*run));
  }
  return absl::OkStatus();
}

int Main() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  RunRecord record;
  record.name = "load generator limits";
  record.started = UtcNow();
  record.machine = MachineName();
  record.commit = absl::GetFlag(FLAGS_commit);
  record.config["load average before"] = LoadAverage();
  const absl::Status ran = RunAll(record, absl::GetFlag(FLAGS_quick));
  if (!ran.ok()) {
    std::fprintf(stderr, "load_limits: %s\n", std::string(ran.message()).c_str());
    return 1;
  }
  for (const Row& row : record.rows) {
    std::printf("%-45s %10.2f %-9s %10.2f %s\n", row.name.c_str(), row.value, row.unit.c_str(),
                row.peer_value.value_or(0), row.peer.c_str());
  }
  if (absl::GetFlag(FLAGS_json).empty()) return 0;
  return WriteRunRecord(absl::GetFlag(FLAGS_json), record).ok() ? 0 : 1;
}

}  // namespace
}  // namespace baton::load

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("the load generator's own limits: --quick, --json FILE");
  absl::ParseCommandLine(argc, argv);
  return baton::load::Main();
}
