// baton-sim: `./baton sim`.

#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "services/router/policy/policies/factory.h"
#include "tools/ctl/files.h"
#include "tools/load/trace.h"
#include "tools/sim/compare.h"
#include "tools/sim/output.h"
#include "tools/sim/plan.h"

ABSL_FLAG(std::string, trace, "", "a file: Mooncake jsonl or Azure csv");
ABSL_FLAG(std::string, trace_format, "auto", "mooncake or azure");
ABSL_FLAG(double, length_scale, 1, "of the trace's prompts, answers and shared blocks");
ABSL_FLAG(uint32_t, max_prompt, 131072, "tokens; longer ones are cut");
ABSL_FLAG(std::string, curve, "h100-8b", "a file, or the name of one in tools/sim/curves");
ABSL_FLAG(std::string, curves, "", "the folder of named curves");
ABSL_FLAG(uint32_t, prefill, 8, "prefill ranks");
ABSL_FLAG(uint32_t, decode, 8, "decode ranks");
ABSL_FLAG(std::string, policies, "", "separated by ';', as the router's --policy has them; all if empty");
ABSL_FLAG(std::vector<std::string>, loads, std::vector<std::string>({"0.7", "0.9", "1.1"}),
          "shares of the rate that fills the ranks if nothing is cached");
ABSL_FLAG(int, seeds, 10, "runs of each, with other arrivals");
ABSL_FLAG(std::string, half, "second", "of the trace: first (to tune on), second (to judge by) or whole");
ABSL_FLAG(uint64_t, most, 100000, "requests of a run");
ABSL_FLAG(bool, admission, false, "with the router's admission, which sends requests away");
ABSL_FLAG(absl::Duration, ttft_slo, absl::ZeroDuration(), "another than the curve's");
ABSL_FLAG(absl::Duration, itl_slo, absl::ZeroDuration(), "another than the curve's");
ABSL_FLAG(double, rate, 0, "plan: requests a second");
ABSL_FLAG(uint32_t, ranks, 0, "plan: split as many exactly; 0: the fewest that do");
ABSL_FLAG(uint32_t, max_ranks, 64, "plan: at most");
ABSL_FLAG(double, share, 0.95, "plan: of the requests, that must meet both SLOs");
ABSL_FLAG(std::string, json, "", "write the figures here");
ABSL_FLAG(std::string, html, "", "write a page here");
ABSL_FLAG(std::string, machine, "", "recorded");
ABSL_FLAG(std::string, commit, "unknown", "recorded");

namespace baton::simulator {
namespace {

absl::StatusOr<Half> ReadHalf(const std::string& name) {
  if (name == "first") return Half::kFirst;
  if (name == "second") return Half::kSecond;
  if (name == "whole") return Half::kWhole;
  return absl::InvalidArgumentError("--half is first, second or whole");
}

absl::StatusOr<CompareOptions> ReadOptions() {
  CompareOptions options;
  std::string path = absl::GetFlag(FLAGS_curve);
  if (path.find('/') == std::string::npos && path.find('.') == std::string::npos)
    path = absl::StrCat(absl::GetFlag(FLAGS_curves), "/", path, ".json");
  BATON_ASSIGN_OR_RETURN(options.cluster.curve, ReadCurve(path));
  options.cluster.prefill = absl::GetFlag(FLAGS_prefill);
  options.cluster.decode = absl::GetFlag(FLAGS_decode);
  const auto slo = [](absl::Duration flag, double usual) {
    return flag > absl::ZeroDuration() ? absl::ToDoubleSeconds(flag) : usual;
  };
  options.cluster.ttft_slo_s = slo(absl::GetFlag(FLAGS_ttft_slo), options.cluster.curve.ttft_slo_s);
  options.cluster.itl_slo_s = slo(absl::GetFlag(FLAGS_itl_slo), options.cluster.curve.itl_slo_s);
  options.policies = absl::StrSplit(absl::GetFlag(FLAGS_policies), ';', absl::SkipWhitespace());
  if (options.policies.empty()) options.policies = router::PolicyNames();
  for (const std::string& text : absl::GetFlag(FLAGS_loads)) {
    double load = 0;
    if (!absl::SimpleAtod(text, &load) || !(load > 0 && load <= 100))
      return absl::InvalidArgumentError(absl::StrCat("--loads: '", text, "' is no load"));
    options.loads.push_back(load);
  }
  options.seeds = absl::GetFlag(FLAGS_seeds);
  if (options.seeds < 1 || options.seeds > 1000)
    return absl::InvalidArgumentError("--seeds is from 1 to 1000");
  BATON_ASSIGN_OR_RETURN(options.half, ReadHalf(absl::GetFlag(FLAGS_half)));
  options.most = absl::GetFlag(FLAGS_most);
  options.admission = absl::GetFlag(FLAGS_admission);
  return options;
}

absl::Status PlanRanks(CompareOptions options, const Trace& trace) {
  const double rate = absl::GetFlag(FLAGS_rate);
  if (!(rate > 0)) return absl::InvalidArgumentError("plan for how much? --rate REQUESTS_A_SECOND");
  if (absl::GetFlag(FLAGS_policies).empty()) options.policies = {"slo"};
  if (options.policies.size() != 1) return absl::InvalidArgumentError("a plan is of one of --policies");
  const PlanGoal goal{.share = absl::GetFlag(FLAGS_share),
                      .ranks = absl::GetFlag(FLAGS_ranks),
                      .max_ranks = absl::GetFlag(FLAGS_max_ranks)};
  const std::string path = absl::GetFlag(FLAGS_trace);
  const std::string about = absl::StrFormat(
      "%s (%s), %.4g requests/s, ranks of %s, %s, %d seeds; SLO: first token %.3g s, mean gap %.3g s",
      path.substr(path.rfind('/') + 1), absl::GetFlag(FLAGS_half), rate, options.cluster.curve.name,
      options.policies.front(), options.seeds, options.cluster.ttft_slo_s, options.cluster.itl_slo_s);
  const bool live = isatty(STDERR_FILENO) != 0;
  int tried = 0;
  const auto done = [live, &tried](const Trial& trial) {
    if (live)
      fprintf(stderr, "\r\033[K%d tried; %u + %u ranks: %.1f%% good", ++tried, trial.prefill, trial.decode,
              100 * trial.good_share);
  };
  const auto plan = FindPlan(goal, SimulatedTry(options, trace, rate, done));
  if (live) fputs("\n", stderr);
  BATON_RETURN_IF_ERROR(plan.status());
  fputs(PlanToText(about, goal, *plan).c_str(), stdout);
  const std::string file = absl::GetFlag(FLAGS_json);
  if (file.empty()) return absl::OkStatus();
  return ctl::WriteFileAtomically(file, PlanToJson(about, absl::GetFlag(FLAGS_commit), goal, *plan));
}

// `words` are those that are no flags.
absl::Status Run(const std::vector<std::string>& words) {
  const bool plan = words.size() == 1 && words[0] == "plan";
  if (!words.empty() && !plan)
    return absl::InvalidArgumentError(absl::StrCat("'", words[0], "' is not plan (--help)"));
  BATON_ASSIGN_OR_RETURN(const CompareOptions options, ReadOptions());
  if (absl::GetFlag(FLAGS_trace).empty())
    return absl::InvalidArgumentError("which trace? --trace FILE (--help says where to get one)");
  BATON_ASSIGN_OR_RETURN(const auto rows,
                         load::ReadTrace(absl::GetFlag(FLAGS_trace), absl::GetFlag(FLAGS_trace_format)));
  BATON_ASSIGN_OR_RETURN(const Trace trace,
                         PrepareTrace(rows, {.length_scale = absl::GetFlag(FLAGS_length_scale),
                                             .max_prompt = absl::GetFlag(FLAGS_max_prompt)}));
  if (plan) return PlanRanks(options, trace);
  const bool live = isatty(STDERR_FILENO) != 0;
  BATON_ASSIGN_OR_RETURN(const std::vector<Row> compared, Compare(options, trace, [live](int done, int all) {
                           if (live) fprintf(stderr, "\r%d of %d runs%s", done, all, done == all ? "\n" : "");
                         }));
  const std::string path = absl::GetFlag(FLAGS_trace);
  const Headline headline{
      .trace = path.substr(path.rfind('/') + 1),
      .curve = options.cluster.curve.name,
      .half = absl::StrCat(absl::GetFlag(FLAGS_half), absl::GetFlag(FLAGS_half) == "whole" ? "" : " half"),
      .machine = absl::GetFlag(FLAGS_machine),
      .commit = absl::GetFlag(FLAGS_commit),
      .prefill = options.cluster.prefill,
      .decode = options.cluster.decode,
      .seeds = options.seeds,
      .ttft_slo_s = options.cluster.ttft_slo_s,
      .itl_slo_s = options.cluster.itl_slo_s,
      .shares = trace.shares,
      .admission = options.admission};
  fputs(ToText(headline, compared).c_str(), stdout);
  if (const std::string file = absl::GetFlag(FLAGS_json); !file.empty())
    BATON_RETURN_IF_ERROR(ctl::WriteFileAtomically(file, ToJson(headline, compared)));
  if (const std::string file = absl::GetFlag(FLAGS_html); !file.empty())
    BATON_RETURN_IF_ERROR(ctl::WriteFileAtomically(file, ToHtml(headline, compared)));
  return absl::OkStatus();
}

}  // namespace
}  // namespace baton::simulator

int main(int argc, char** argv) {
  const std::vector<char*> left = absl::ParseCommandLine(argc, argv);
  const absl::Status status = baton::simulator::Run({left.begin() + 1, left.end()});
  if (status.ok()) return 0;
  fprintf(stderr, "baton sim: %s\n", std::string(status.message()).c_str());
  return 1;
}
