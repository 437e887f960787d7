#include "tools/chaos/snapshot.h"

#include <boost/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tools/chaos/totals.h"

namespace baton::chaos {
namespace {

namespace json = boost::json;

// Workers that the router calls healthy; -1 if it said nothing that can be read.
int HealthyWorkers(const std::string& status) {
  json::error_code error;
  const json::value value = json::parse(status, error);
  const json::object* object = error ? nullptr : value.if_object();
  const json::value* workers = object == nullptr ? nullptr : object->if_contains("workers");
  if (workers == nullptr || !workers->is_array()) return -1;
  int healthy = 0;
  for (const json::value& worker : workers->get_array()) {
    const json::value* said = worker.is_object() ? worker.get_object().if_contains("healthy") : nullptr;
    if (said != nullptr && said->is_bool() && said->get_bool()) ++healthy;
  }
  return healthy;
}

std::string Busy(const PageCount& count) {
  for (const auto& [name, pages] : count.classes) {
    if (name != "free" && name != "cached" && pages != 0)
      return absl::StrCat(count.process, count.rank < 0 ? "" : absl::StrCat("/", count.rank), " has ", pages,
                          " pages ", name);
  }
  return "";
}

}  // namespace

Samples ParseMetrics(const std::string& text) {
  Samples samples;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const size_t space = line.rfind(' ');
    double value = 0;
    if (line[0] == '#' || space == absl::string_view::npos ||
        !absl::SimpleAtod(line.substr(space + 1), &value))
      continue;
    samples[std::string(line.substr(0, space))] = value;
  }
  return samples;
}

std::string LabelOf(const std::string& sample, const std::string& key) {
  for (const char* before : {"{", ","}) {
    const std::string start = absl::StrCat(before, key, "=\"");
    const size_t at = sample.find(start);
    if (at == std::string::npos) continue;
    const size_t begin = at + start.size();
    return sample.substr(begin, sample.find('"', begin) - begin);
  }
  return "";
}

std::vector<PageCount> PagesOf(const std::string& process, const Samples& samples) {
  std::map<int, PageCount> counts;
  for (const auto& [sample, value] : samples) {
    const bool pool = absl::StartsWith(sample, "baton_pool_pages{");
    int rank = -1;
    if (!pool &&
        (!absl::StartsWith(sample, "baton_pages{") || !absl::SimpleAtoi(LabelOf(sample, "rank"), &rank)))
      continue;
    PageCount& count = counts[rank];
    count.process = process;
    count.rank = rank;
    count.classes[LabelOf(sample, "class")] = static_cast<int64_t>(value);
  }
  std::vector<PageCount> pages;
  for (auto& [rank, count] : counts) pages.push_back(std::move(count));
  return pages;
}

Snapshot TakeSnapshot(Driver& driver, double at_s) {
  Snapshot snapshot;
  snapshot.at_s = at_s;
  for (const ProcessView& process : driver.Processes()) {
    if (process.gone) continue;
    const auto metrics = driver.Get(process.name, "/metrics");
    if (!metrics.ok()) {
      snapshot.silent.push_back(process.name);
      continue;
    }
    Samples& samples = snapshot.metrics[process.name] = ParseMetrics(*metrics);
    for (PageCount& count : PagesOf(process.name, samples)) snapshot.pages.push_back(std::move(count));
    if (process.role == "router") {
      const auto status = driver.Get(process.name, "/baton/status");
      if (status.ok()) snapshot.router_status = *status;
    }
  }
  return snapshot;
}

std::string WhyNotIdle(const Snapshot& snapshot) {
  if (!snapshot.silent.empty()) return absl::StrCat(snapshot.silent.front(), " does not answer");
  for (const PageCount& count : snapshot.pages) {
    if (const std::string busy = Busy(count); !busy.empty()) return busy;
  }
  for (const char* gauge : kOpenGauges) {
    if (const double open = TotalOf(snapshot, gauge); open > 0) return absl::StrCat(open, " ", gauge);
  }
  int workers = 0;
  for (const auto& [process, samples] : snapshot.metrics) {
    if (absl::StartsWith(process, "prefill") || absl::StartsWith(process, "decode")) ++workers;
  }
  const int healthy = HealthyWorkers(snapshot.router_status);
  if (healthy < workers)
    return absl::StrCat("the router knows ", healthy, " of ", workers, " workers as healthy");
  return "";
}

bool IsIdle(const Snapshot& snapshot) {
  return WhyNotIdle(snapshot).empty();
}

}  // namespace baton::chaos
