#include "tools/load/collector.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace baton::load {
namespace {

int64_t Allowed(int64_t count) {
  return (count + 99) / 100;
}

}  // namespace

Collector::Collector(const Window& window, const Slo& slo, absl::Duration bin)
    : window_(window), slo_(slo), timeline_(window.origin, bin) {}

bool Collector::Measured(MonoTime at) const {
  const absl::Duration since = at - window_.origin;
  return since >= window_.warmup && since < window_.end;
}

void Collector::Add(const PlannedRequest& request, const StreamRecord& record) {
  const StreamMeasure measure = Measure(record, slo_);
  timeline_.Add(record, measure);
  if (record.outcome == Outcome::kNotSent && record.error == kNoConnection) ++no_connection_;
  if (record.Sent()) lag_.Add(record.sent - record.scheduled);
  Figures* tenant = request.tenant.empty() ? nullptr : &tenants_[request.tenant];
  for (Figures* figures : {&all_, tenant}) {
    if (figures != nullptr) Count(record, measure, *figures);
  }
}

void Collector::Count(const StreamRecord& record, const StreamMeasure& measure, Figures& into) const {
  int64_t arrived = 0;
  for (const Arrival& arrival : record.arrivals) arrived += Measured(arrival.at) ? arrival.tokens : 0;
  into.output_tokens += arrived;
  if (!record.arrivals.empty() && Measured(record.arrivals.front().at))
    into.input_tokens += record.input_tokens;
  if (!Measured(record.scheduled)) return;
  ++into.requests;
  into.completed += record.outcome == Outcome::kCompleted;
  into.cancelled += record.outcome == Outcome::kCancelled;
  into.good += measure.good;
  const std::string kind = ErrorKind(record);
  if (!kind.empty()) ++into.errors[kind];
  if (record.Sent()) into.histograms["lag_ms"].Add(record.sent - record.scheduled);
  if (measure.ttft) into.histograms["ttft_ms"].Add(*measure.ttft);
  if (measure.tpot) into.histograms["tpot_ms"].Add(*measure.tpot);
  if (measure.e2e) into.histograms["e2e_ms"].Add(*measure.e2e);
  for (const absl::Duration gap : measure.itl) into.histograms["itl_ms"].Add(gap);
}

std::string Collector::WhyInvalid(const ValidityRule& rule) const {
  if (no_connection_ > 0)
    return absl::StrCat(no_connection_, " requests found no free connection: raise --max_connections");
  const std::string limit = absl::FormatDuration(rule.max_lag);
  const int64_t late = lag_.CountAbove(rule.max_lag);
  if (late > Allowed(lag_.count()))
    return absl::StrFormat("%d of %d requests were sent more than %s late (max %.0f ms)", late, lag_.count(),
                           limit, lag_.ToSpread().max.value_or(0));
  const int64_t slow = loop_lag_.CountAbove(rule.max_lag);
  if (slow > Allowed(loop_lag_.count()))
    return absl::StrFormat(
        "the client was busy: %.1f%% of its looks at the clock were more than %s late (max %.0f ms)",
        100.0 * static_cast<double>(slow) / static_cast<double>(loop_lag_.count()), limit,
        loop_lag_.ToSpread().max.value_or(0));
  return "";
}

Summary Collector::Summarise(const Figures& figures) const {
  Summary summary;
  for (const char* name : {"ttft_ms", "itl_ms", "tpot_ms", "e2e_ms", "lag_ms"}) summary.spreads[name];
  for (const auto& [name, histogram] : figures.histograms) summary.spreads[name] = histogram.ToSpread();
  summary.requests = figures.requests;
  summary.completed = figures.completed;
  summary.cancelled = figures.cancelled;
  summary.errors = figures.errors;
  const double seconds = std::max(1e-9, absl::ToDoubleSeconds(window_.end - window_.warmup));
  summary.requests_per_s = static_cast<double>(figures.completed) / seconds;
  summary.input_tokens_per_s = static_cast<double>(figures.input_tokens) / seconds;
  summary.output_tokens_per_s = static_cast<double>(figures.output_tokens) / seconds;
  summary.goodput_per_s = static_cast<double>(figures.good) / seconds;
  const int64_t judged = figures.requests - figures.cancelled;
  if (judged > 0) summary.good_share = static_cast<double>(figures.good) / static_cast<double>(judged);
  if (slo_.ttft < absl::InfiniteDuration()) summary.slo["ttft_ms"] = absl::ToDoubleMilliseconds(slo_.ttft);
  if (slo_.tpot < absl::InfiniteDuration()) summary.slo["tpot_ms"] = absl::ToDoubleMilliseconds(slo_.tpot);
  return summary;
}

RunResult Collector::Result() const {
  RunResult run;
  run.duration_s = absl::ToDoubleSeconds(window_.end - window_.warmup);
  run.summary = Summarise(all_);
  run.summary.spreads["loop_lag_ms"] = loop_lag_.ToSpread();
  for (const auto& [name, figures] : tenants_) run.summary.tenants[name] = Summarise(figures);
  for (const auto& [name, histogram] : all_.histograms) run.histograms[name] = histogram.Buckets();
  run.timeline = timeline_.Series();
  return run;
}

}  // namespace baton::load
