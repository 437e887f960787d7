#pragma once

// A process's metrics in Prometheus' text format 0.0.4. Two kinds: instruments that code turns (counters,
// gauges, histograms), and collectors that are asked for a snapshot at each scrape. Names start with baton_
// and follow https://prometheus.io/docs/practices/naming/. Every process also has the customary
// process_resident_memory_bytes. Thread-safe.

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace prometheus {
class Registry;
}

namespace baton {

using MetricLabels = std::map<std::string, std::string>;

// Values taken at one moment, one family per name.
class MetricSnapshot {
 public:
  // Starts a family; Add goes to the family started last.
  MetricSnapshot& Counter(std::string name, std::string help);
  MetricSnapshot& Gauge(std::string name, std::string help);
  MetricSnapshot& Add(double value, const MetricLabels& labels = {});
  std::vector<prometheus::MetricFamily> Take() { return std::move(families_); }

 private:
  std::vector<prometheus::MetricFamily> families_;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The same name and labels give the same instrument, which lives as long as this object.
  prometheus::Counter& Counter(const std::string& name, const std::string& help,
                               const MetricLabels& labels = {});
  prometheus::Gauge& Gauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  // `buckets`: ascending upper bounds, +Inf left out.
  prometheus::Histogram& Histogram(const std::string& name, const std::string& help,
                                   const std::vector<double>& buckets, const MetricLabels& labels = {});

  // Asked at every scrape, on the scraping thread, until it is removed; must not block.
  using Collector = std::function<void(MetricSnapshot&)>;
  int AddCollector(Collector collector);
  // No call of the collector is under way when this returns.
  void RemoveCollector(int id);

  std::string Text() const;

 private:
  std::shared_ptr<prometheus::Registry> registry_;
  mutable absl::Mutex mutex_;
  int next_collector_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<int, Collector> collectors_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace baton
