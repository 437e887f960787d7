#include "tools/report/cells.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "tools/report/axis.h"

namespace baton::report {
namespace {

int64_t WantedFor(const std::string& field) {
  if (field == "p50") return 10;
  if (field == "p90") return 100;
  if (field == "p95") return 200;
  if (field == "p99") return 1000;
  return field == "p999" ? 10000 : 1;
}

std::optional<double> FieldOf(const load::Spread& spread, const std::string& field) {
  if (field == "p50") return spread.p50;
  if (field == "p90") return spread.p90;
  if (field == "p95") return spread.p95;
  if (field == "p99") return spread.p99;
  if (field == "p999") return spread.p999;
  return field == "max" ? spread.max : spread.mean;
}

std::optional<double> ValueOf(const load::Summary& summary, const Metric& metric) {
  if (!metric.spread.empty()) {
    const auto found = summary.spreads.find(metric.spread);
    if (found == summary.spreads.end()) return std::nullopt;
    if (found->second.count < WantedFor(metric.field)) return std::nullopt;
    return FieldOf(found->second, metric.field);
  }
  if (metric.field == "output_tokens_per_s") return summary.output_tokens_per_s;
  if (metric.field == "requests_per_s") return summary.requests_per_s;
  if (metric.field == "goodput_per_s" && !summary.slo.empty()) return summary.goodput_per_s;
  return std::nullopt;
}

double MedianOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : values[half - 1] / 2 + values[half] / 2;
}

}  // namespace

const std::vector<Metric>& Metrics() {
  static const auto* const kMetrics =
      new std::vector<Metric>{{"TTFT p50", "ms", "ttft_ms", "p50", Better::kLess},
                              {"TTFT p90", "ms", "ttft_ms", "p90", Better::kLess},
                              {"TTFT p99", "ms", "ttft_ms", "p99", Better::kLess},
                              {"ITL p50", "ms", "itl_ms", "p50", Better::kLess},
                              {"ITL p95", "ms", "itl_ms", "p95", Better::kLess},
                              {"ITL p99", "ms", "itl_ms", "p99", Better::kLess},
                              {"ITL max", "ms", "itl_ms", "max", Better::kLess},
                              {"TPOT p50", "ms", "tpot_ms", "p50", Better::kLess},
                              {"TPOT p90", "ms", "tpot_ms", "p90", Better::kLess},
                              {"e2e p50", "ms", "e2e_ms", "p50", Better::kLess},
                              {"output", "tokens/s", "", "output_tokens_per_s", Better::kMore},
                              {"completed", "/s", "", "requests_per_s", Better::kMore},
                              {"goodput", "/s", "", "goodput_per_s", Better::kMore}};
  return *kMetrics;
}

const Metric& MetricOf(const std::string& spread, const std::string& field) {
  const auto found = std::find_if(Metrics().begin(), Metrics().end(), [&](const Metric& metric) {
    return metric.spread == spread && metric.field == field;
  });
  return found == Metrics().end() ? Metrics().front() : *found;
}

std::vector<Cell> CellsOf(absl::Span<const load::RunRecord> records) {
  std::vector<Cell> cells;
  for (size_t record = 0; record < records.size(); ++record) {
    std::map<std::string, size_t> order;
    std::map<std::tuple<size_t, double>, Cell> found;
    for (const load::RunResult& run : records[record].runs) {
      const size_t place = order.emplace(run.label, order.size()).first->second;
      Cell& cell = found[{place, Drawable(run.rate) ? run.rate : 0}];
      cell.record = record;
      cell.label = run.label;
      cell.rate = Drawable(run.rate) ? run.rate : 0;
      cell.repeats.push_back(&run);
    }
    for (auto& [unused, cell] : found) cells.push_back(std::move(cell));
  }
  return cells;
}

std::optional<Range> RangeOf(const Cell& cell, const Metric& metric) {
  std::vector<double> values;
  for (const load::RunResult* run : cell.repeats) {
    const std::optional<double> value = ValueOf(run->summary, metric);
    if (!value || !Drawable(*value)) return std::nullopt;
    values.push_back(*value);
  }
  if (values.empty()) return std::nullopt;
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return Range{MedianOf(values), *least, *most, ConfidenceOf(values)};
}

Samples SamplesOf(const Cell& cell, const Metric& metric) {
  if (metric.spread.empty()) return {};
  Samples samples{std::numeric_limits<int64_t>::max(), WantedFor(metric.field)};
  for (const load::RunResult* run : cell.repeats) {
    const auto found = run->summary.spreads.find(metric.spread);
    samples.fewest = std::min(samples.fewest, found == run->summary.spreads.end() ? 0 : found->second.count);
  }
  return samples;
}

std::string WhyAbsent(const Cell& cell, const Metric& metric) {
  if (metric.spread.empty()) return metric.field == "goodput_per_s" ? "no SLO was set" : "not measured";
  const Samples samples = SamplesOf(cell, metric);
  if (samples.fewest >= samples.wanted) return "not in the record";
  return absl::StrCat(samples.fewest, samples.fewest == 1 ? " sample" : " samples",
                      cell.repeats.size() > 1 ? " in a repeat, " : ", ", metric.field, " wants ",
                      samples.wanted);
}

int64_t Requests(const Cell& cell) {
  int64_t sum = 0;
  for (const load::RunResult* run : cell.repeats) sum += run->summary.requests;
  return sum;
}

int64_t Errors(const Cell& cell) {
  int64_t sum = 0;
  for (const load::RunResult* run : cell.repeats) {
    for (const auto& [unused, count] : run->summary.errors) sum += count;
  }
  return sum;
}

std::string LetterOf(size_t record) {
  return std::string(1, static_cast<char>('A' + record % 26));
}

std::string NameOf(const Cell& cell, bool several, bool with_rate) {
  std::string name = several ? LetterOf(cell.record) : "";
  if (!cell.label.empty()) absl::StrAppend(&name, name.empty() ? "" : " ", cell.label);
  if (with_rate) absl::StrAppend(&name, name.empty() ? "" : " at ", FormatFigure(cell.rate), "/s");
  return name;
}

std::vector<const Cell*> Chosen(const std::vector<Cell>& cells, size_t most) {
  std::vector<const Cell*> chosen;
  for (size_t i = 0; i < cells.size() && chosen.size() < most; ++i) {
    const bool last = i + 1 == cells.size() || cells[i + 1].record != cells[i].record ||
                      cells[i + 1].label != cells[i].label;
    if (cells.size() <= most || last) chosen.push_back(&cells[i]);
  }
  return chosen;
}

std::vector<std::string> Labels(const std::vector<Cell>& cells) {
  std::vector<std::string> labels;
  std::set<std::string> seen;
  for (const Cell& cell : cells) {
    if (seen.insert(cell.label).second) labels.push_back(cell.label);
  }
  return labels;
}

std::set<double> RatesOf(const std::vector<Cell>& cells, size_t record, const std::string& label) {
  std::set<double> rates;
  for (const Cell& cell : cells) {
    if (cell.record == record && cell.label == label) rates.insert(cell.rate);
  }
  return rates;
}

}  // namespace baton::report
