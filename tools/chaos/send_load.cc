#include "tools/chaos/send_load.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "tools/ctl/http.h"
#include "tools/load/client.h"
#include "tools/load/collector.h"

namespace baton::chaos {
namespace {

constexpr absl::Duration kTold = absl::Milliseconds(500);
// The generator shares its machine with the cluster.
constexpr absl::Duration kLagAtMost = absl::Milliseconds(100);
constexpr absl::Duration kBin = absl::Milliseconds(500);

absl::StatusOr<load::ClientOptions> OptionsFor(const Scenario& scenario, const std::string& url) {
  BATON_ASSIGN_OR_RETURN(const ctl::Url parsed, ctl::ParseUrl(url));
  load::ClientOptions options;
  options.host = parsed.host;
  options.port = parsed.port;
  options.request_timeout = scenario.load.timeout;
  options.stall_timeout = scenario.load.timeout;
  options.drain = scenario.checks.end_within;
  options.keep_bodies = true;
  options.style.api = load::Api::kCompletions;
  options.style.return_token_ids = true;
  BATON_ASSIGN_OR_RETURN(options.style.model, load::AskModel(options));
  return options;
}

}  // namespace

StreamRecord ToStream(const load::StreamRecord& record, MonoTime start, bool counted) {
  const auto seconds = [start](MonoTime at) { return absl::ToDoubleSeconds(at - start); };
  StreamRecord stream;
  stream.index = record.index;
  stream.request = record.request_body;
  stream.path = record.path;
  stream.id = record.response_id;
  stream.tokens = record.token_ids;
  stream.finish_reason = record.finish_reason;
  stream.cancelled = record.outcome == load::Outcome::kCancelled;
  stream.counted = counted;
  stream.sent_s = seconds(record.Sent() ? record.sent : record.scheduled);
  const std::string kind = load::ErrorKind(record);
  if (!kind.empty()) stream.error = absl::StrCat(kind, record.error.empty() ? "" : ": ", record.error);
  for (const load::Arrival& arrival : record.arrivals) stream.token_s.push_back(seconds(arrival.at));
  stream.workers = record.workers;
  if (record.outcome != load::Outcome::kUnfinished)
    stream.ended_s = seconds(record.Sent() ? record.ended : record.scheduled);
  return stream;
}

absl::StatusOr<LoadOutcome> SendLoad(const Scenario& scenario, double rate, const std::string& url,
                                     MonoTime start, const Progress& progress, const GivenUp& given_up) {
  BATON_ASSIGN_OR_RETURN(const load::LoadPlan plan, PlanLoad(scenario.load, rate));
  return SendPlan(scenario, plan, url, start, progress, given_up);
}

absl::StatusOr<LoadOutcome> SendPlan(const Scenario& scenario, const load::LoadPlan& plan,
                                     const std::string& url, MonoTime start, const Progress& progress,
                                     const GivenUp& given_up) {
  BATON_ASSIGN_OR_RETURN(const load::ClientOptions options, OptionsFor(scenario, url));
  load::Client client(options);
  load::Collector collector(
      {start, scenario.load.warmup, plan.duration},
      {absl::Milliseconds(scenario.slo.ttft_ms), absl::Milliseconds(scenario.slo.tpot_ms)}, kBin);
  LoadOutcome outcome;
  MonoTime told = start;
  load::Observer observer;
  observer.on_end = [&](const load::StreamRecord& record) {
    collector.Add(plan.requests[record.index], record);
    outcome.streams.push_back(ToStream(record, start, record.scheduled - start >= scenario.load.warmup));
    outcome.drained_s = std::max(outcome.drained_s, outcome.streams.back().ended_s.value_or(0));
  };
  observer.on_tick = [&](MonoTime now, absl::Duration late, const load::Counters& counters) {
    collector.AddLoopLag(late);
    if (given_up()) client.Stop();
    if (now - told < kTold) return;
    told = now;
    progress(absl::StrFormat("%.0f of %.0f s, %d sent, %d running, %d done, %d errors, %d tokens",
                             absl::ToDoubleSeconds(now - start), absl::ToDoubleSeconds(plan.duration),
                             counters.sent, counters.running, counters.done, counters.errors,
                             counters.tokens));
  };
  BATON_RETURN_IF_ERROR(client.Run(plan, observer, start));
  std::sort(outcome.streams.begin(), outcome.streams.end(),
            [](const StreamRecord& a, const StreamRecord& b) { return a.index < b.index; });
  outcome.load_end_s = absl::ToDoubleSeconds(plan.duration);
  outcome.lag = collector.WhyInvalid({kLagAtMost});
  outcome.kept_schedule = outcome.lag.empty();
  outcome.result = collector.Result();
  return outcome;
}

}  // namespace baton::chaos
