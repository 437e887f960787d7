// baton-bench-serve: `./baton bench serve`.

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "tools/ctl/cluster_state.h"
#include "tools/ctl/files.h"
#include "tools/ctl/http.h"
#include "tools/load/bench_serve.h"
#include "tools/report/report.h"

ABSL_FLAG(std::string, url, "", "the endpoint, http://HOST:PORT; without it, the cluster of ./baton up");
ABSL_FLAG(std::string, cluster, "default", "the name of that cluster");
ABSL_FLAG(std::string, api, "chat", "chat or completions");
ABSL_FLAG(std::string, model, "", "its name; without it, the first of /v1/models");
ABSL_FLAG(std::string, api_key_file, "", "a file with the key to send");
ABSL_FLAG(int64_t, vocab, 0, "over 0: prompts of random token ids below it (--api completions)");
ABSL_FLAG(std::vector<std::string>, rate, {"1"},
          "requests (or sessions) a second; a list: one run after another");
ABSL_FLAG(std::string, arrivals, "poisson", "constant, poisson, gamma or ramp");
ABSL_FLAG(double, rate_to, 0, "of a ramp: the rate at its end");
ABSL_FLAG(double, cv, 2, "of gamma: coefficient of variation of the gaps (1: as poisson; more: bursts)");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(60), "of the arrivals");
ABSL_FLAG(int64_t, requests, 1000000, "at most so many");
ABSL_FLAG(absl::Duration, warmup, absl::Seconds(5), "what arrives before is not in the figures");
ABSL_FLAG(absl::Duration, drain, absl::Seconds(60), "how long to wait for the last answers");
ABSL_FLAG(int, repeats, 1, "of each rate, each with another seed");
ABSL_FLAG(uint64_t, seed, 1, "of everything that is drawn");
ABSL_FLAG(std::string, prompt_tokens, "128", "N, uniform:LEAST:MOST or lognormal:MEDIAN:SIGMA[:MOST]");
ABSL_FLAG(std::string, answer_tokens, "32", "the same");
ABSL_FLAG(int64_t, shared_prompts, 0, "how many system prompts to draw from");
ABSL_FLAG(int64_t, shared_tokens, 256, "how long each of them is");
ABSL_FLAG(int64_t, turns, 1, "of each session; the next one's prompt holds the answers before");
ABSL_FLAG(absl::Duration, think, absl::Seconds(1), "from the end of a turn to the next");
ABSL_FLAG(std::string, tenants, "", "NAME[:SHARE[:PRIORITY]],...");
ABSL_FLAG(double, cancel_share, 0, "of the requests, where the client hangs up");
ABSL_FLAG(int64_t, cancel_after, 8, "after so many tokens");
ABSL_FLAG(bool, ignore_eos, true, "ask for answers of the wanted length");
ABSL_FLAG(double, temperature, 0, "of the sampling");
ABSL_FLAG(std::string, trace, "", "a file to replay: Mooncake jsonl, Azure csv or ShareGPT-like json");
ABSL_FLAG(std::string, trace_format, "auto", "mooncake, azure or sharegpt");
ABSL_FLAG(double, trace_speed, 1, "2: twice as fast");
ABSL_FLAG(double, length_scale, 1, "of the trace's prompts and answers");
ABSL_FLAG(int64_t, max_prompt, 1000000, "tokens; longer ones of a trace are cut");
ABSL_FLAG(int64_t, max_answer, 1000000, "tokens; the same");
ABSL_FLAG(absl::Duration, slo_ttft, absl::InfiniteDuration(), "a good request's first token comes within");
ABSL_FLAG(absl::Duration, slo_tpot, absl::InfiniteDuration(), "and its mean gap between tokens is at most");
ABSL_FLAG(bool, sweep, false, "look for the highest rate that meets the SLO, from --rate on");
ABSL_FLAG(double, attainment, 0.9, "a rate meets the SLO if this share of its requests is good");
ABSL_FLAG(absl::Duration, max_lag, absl::Milliseconds(20),
          "the run is invalid if over 1% of its requests were sent later");
ABSL_FLAG(absl::Duration, timeout, absl::Seconds(600), "of a request");
ABSL_FLAG(int64_t, max_connections, 10000, "at once");
ABSL_FLAG(absl::Duration, bin, absl::Milliseconds(500), "of the timeline");
ABSL_FLAG(bool, quick, false, "20 s at each rate, 2 s of them warm-up");
ABSL_FLAG(std::string, name, "bench serve", "of the run, in its record");
ABSL_FLAG(std::string, json, "", "write the run record here");
ABSL_FLAG(std::string, html, "", "write a report here");
ABSL_FLAG(std::string, commit, "unknown", "recorded");

namespace baton::load {
namespace {

// Where ./baton up keeps its clusters: tools/ctl/main.cc.
std::string StateRoot() {
  const char* state = getenv("XDG_STATE_HOME");
  const char* home = getenv("HOME");
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  const std::string base = state != nullptr && state[0] == '/'
                               ? state
                               : absl::StrCat(home == nullptr ? "" : home, "/.local/state");
  return absl::StrCat(base, "/baton/", host);
}

absl::StatusOr<std::string> Url() {
  if (!absl::GetFlag(FLAGS_url).empty()) return absl::GetFlag(FLAGS_url);
  const auto record = ctl::ReadRecord(ctl::ClusterFolder(StateRoot(), absl::GetFlag(FLAGS_cluster)));
  if (!record.ok())
    return absl::NotFoundError("no cluster runs here: ./baton up starts one, or name an endpoint with --url");
  return ctl::RouterUrl(*record);
}

absl::Status ReadClient(ClientOptions& client) {
  BATON_ASSIGN_OR_RETURN(const std::string text, Url());
  BATON_ASSIGN_OR_RETURN(const ctl::Url url, ctl::ParseUrl(text));
  if (url.tls) return absl::InvalidArgumentError("https is not spoken here: use http://");
  client.host = url.host;
  client.port = url.port;
  client.base_path = std::string(absl::StripSuffix(absl::StripSuffix(url.path, "/"), "/v1"));
  const std::string api = absl::GetFlag(FLAGS_api);
  if (api != "chat" && api != "completions")
    return absl::InvalidArgumentError("--api is chat or completions");
  client.style.api = api == "chat" ? Api::kChat : Api::kCompletions;
  client.style.vocab = absl::GetFlag(FLAGS_vocab);
  if (client.style.vocab != 0 && (api == "chat" || client.style.vocab < 8 || client.style.vocab > INT32_MAX))
    return absl::InvalidArgumentError("--vocab is a vocabulary's size, and wants --api completions");
  client.style.return_token_ids = client.style.vocab > 0 && absl::GetFlag(FLAGS_turns) > 1;
  if (const std::string path = absl::GetFlag(FLAGS_api_key_file); !path.empty()) {
    BATON_ASSIGN_OR_RETURN(const std::string key, ctl::ReadFile(path));
    client.api_key = std::string(absl::StripAsciiWhitespace(key));
  }
  client.request_timeout = absl::GetFlag(FLAGS_timeout);
  client.stall_timeout = std::min(client.stall_timeout, client.request_timeout);
  client.drain = absl::GetFlag(FLAGS_drain);
  client.max_connections =
      static_cast<size_t>(std::clamp<int64_t>(absl::GetFlag(FLAGS_max_connections), 1, 1000000));
  client.style.model = absl::GetFlag(FLAGS_model);
  if (!client.style.model.empty()) return absl::OkStatus();
  BATON_ASSIGN_OR_RETURN(client.style.model, AskModel(client));
  return absl::OkStatus();
}

absl::Status ReadWorkload(WorkloadSpec& workload) {
  BATON_ASSIGN_OR_RETURN(workload.arrivals.kind, ParseArrivalKind(absl::GetFlag(FLAGS_arrivals)));
  if (workload.arrivals.kind == ArrivalKind::kRamp) workload.arrivals.rate_to = absl::GetFlag(FLAGS_rate_to);
  workload.arrivals.cv = absl::GetFlag(FLAGS_cv);
  workload.arrivals.duration = absl::GetFlag(FLAGS_duration);
  workload.arrivals.most = absl::GetFlag(FLAGS_requests);
  workload.arrivals.seed = workload.seed = absl::GetFlag(FLAGS_seed);
  BATON_ASSIGN_OR_RETURN(workload.prompt, ParseLengths(absl::GetFlag(FLAGS_prompt_tokens)));
  BATON_ASSIGN_OR_RETURN(workload.answer, ParseLengths(absl::GetFlag(FLAGS_answer_tokens)));
  workload.shared_prompts = absl::GetFlag(FLAGS_shared_prompts);
  workload.shared_tokens = absl::GetFlag(FLAGS_shared_tokens);
  workload.turns = absl::GetFlag(FLAGS_turns);
  workload.think = absl::GetFlag(FLAGS_think);
  BATON_ASSIGN_OR_RETURN(workload.tenants, ParseTenants(absl::GetFlag(FLAGS_tenants)));
  workload.cancel_share = absl::GetFlag(FLAGS_cancel_share);
  workload.cancel_after = absl::GetFlag(FLAGS_cancel_after);
  workload.ignore_eos = absl::GetFlag(FLAGS_ignore_eos);
  workload.temperature = absl::GetFlag(FLAGS_temperature);
  return absl::OkStatus();
}

absl::Status ReadMeasurement(BenchOptions& options) {
  options.rates.clear();
  for (const std::string& text : absl::GetFlag(FLAGS_rate)) {
    double rate = 0;
    if (!absl::SimpleAtod(text, &rate) || !(rate > 0))
      return absl::InvalidArgumentError(absl::StrCat("--rate: not a rate: '", text, "'"));
    options.rates.push_back(rate);
  }
  options.repeats = absl::GetFlag(FLAGS_repeats);
  options.warmup = absl::GetFlag(FLAGS_warmup);
  options.bin = std::max(absl::GetFlag(FLAGS_bin), absl::Milliseconds(10));
  options.slo = {absl::GetFlag(FLAGS_slo_ttft), absl::GetFlag(FLAGS_slo_tpot)};
  options.rule.max_lag = absl::GetFlag(FLAGS_max_lag);
  options.sweep = absl::GetFlag(FLAGS_sweep);
  options.attainment = absl::GetFlag(FLAGS_attainment);
  if (options.rates.empty()) return absl::InvalidArgumentError("--rate names no rate");
  options.sweep_spec.first_rate = options.rates[0];
  if (absl::GetFlag(FLAGS_quick)) {
    options.workload.arrivals.duration = std::min(options.workload.arrivals.duration, absl::Seconds(20));
    options.warmup = std::min(options.warmup, absl::Seconds(2));
    options.sweep_spec.precision = 0.25;
  }
  if (options.warmup < absl::ZeroDuration() || options.warmup >= options.workload.arrivals.duration)
    return absl::InvalidArgumentError("--warmup must be shorter than --duration");
  if (options.sweep && options.slo.ttft == absl::InfiniteDuration() &&
      options.slo.tpot == absl::InfiniteDuration())
    return absl::InvalidArgumentError("--sweep wants --slo_ttft or --slo_tpot");
  return absl::OkStatus();
}

absl::StatusOr<BenchOptions> ReadFlags() {
  BenchOptions options;
  BATON_RETURN_IF_ERROR(ReadWorkload(options.workload));
  BATON_RETURN_IF_ERROR(ReadMeasurement(options));
  options.trace_spec = {absl::GetFlag(FLAGS_trace_speed), absl::GetFlag(FLAGS_length_scale),
                        absl::GetFlag(FLAGS_max_prompt), absl::GetFlag(FLAGS_max_answer)};
  if (const std::string path = absl::GetFlag(FLAGS_trace); !path.empty()) {
    BATON_ASSIGN_OR_RETURN(options.trace, ReadTrace(path, absl::GetFlag(FLAGS_trace_format)));
  }
  BATON_RETURN_IF_ERROR(ReadClient(options.client));
  return options;
}

void Describe(const BenchOptions& options, int argc, char** argv, RunRecord& record) {
  record.name = absl::GetFlag(FLAGS_name);
  record.commit = absl::GetFlag(FLAGS_commit);
  record.versions["baton"] = "0.1.0";
  record.config["endpoint"] =
      absl::StrCat(options.client.host, ":", options.client.port, options.client.base_path);
  record.config["model"] = options.client.style.model;
  for (int i = 1; i < argc; ++i) absl::StrAppend(&record.config["flags"], i > 1 ? " " : "", argv[i]);
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "baton-bench-serve: %s\n", std::string(status.message()).c_str());
  return 1;
}

int Main(int argc, char** argv) {
  const auto options = ReadFlags();
  if (!options.ok()) return Fail(options.status());
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  const Say say = [terminal](const std::string& line, bool lasting) {
    std::printf("%s%s%s", terminal ? "\r\033[K" : "", line.c_str(), lasting ? "\n" : "");
    std::fflush(stdout);
  };
  say(absl::StrCat("load on ", options->client.host, ":", options->client.port, ", model ",
                   options->client.style.model),
      true);
  auto record = RunBench(*options, terminal, say);
  if (!record.ok()) return Fail(record.status());
  Describe(*options, argc, argv, *record);
  if (const std::string path = absl::GetFlag(FLAGS_json); !path.empty()) {
    if (const absl::Status written = WriteRunRecord(path, *record); !written.ok()) return Fail(written);
  }
  if (const std::string path = absl::GetFlag(FLAGS_html); !path.empty()) {
    if (const absl::Status written = report::WriteReport({*record}, path); !written.ok())
      return Fail(written);
  }
  return record->valid ? 0 : 2;
}

}  // namespace
}  // namespace baton::load

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("open-loop load on an OpenAI endpoint; ./baton bench serve --help teaches it");
  const auto rest = absl::ParseCommandLine(argc, argv);
  if (rest.size() > 1)
    return baton::load::Fail(absl::InvalidArgumentError(absl::StrCat("unknown word: ", rest[1])));
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  return baton::load::Main(argc, argv);
}
