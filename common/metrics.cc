#include "common/metrics.h"

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <utility>

namespace baton {
namespace {

// Of this process; 0 where the kernel doesn't say.
double ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  double size = 0, resident = 0;
  statm >> size >> resident;
  return statm ? resident * static_cast<double>(sysconf(_SC_PAGESIZE)) : 0;
}

}  // namespace

MetricSnapshot& MetricSnapshot::Counter(std::string name, std::string help) {
  families_.push_back({std::move(name), std::move(help), prometheus::MetricType::Counter, {}});
  return *this;
}

MetricSnapshot& MetricSnapshot::Gauge(std::string name, std::string help) {
  families_.push_back({std::move(name), std::move(help), prometheus::MetricType::Gauge, {}});
  return *this;
}

MetricSnapshot& MetricSnapshot::Add(double value, const MetricLabels& labels) {
  prometheus::MetricFamily& family = families_.back();
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  for (const auto& [name, text] : labels) metric.label.push_back({name, text});
  (family.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  return *this;
}

Metrics::Metrics() : registry_(std::make_shared<prometheus::Registry>()) {}
Metrics::~Metrics() = default;

prometheus::Counter& Metrics::Counter(const std::string& name, const std::string& help,
                                      const MetricLabels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(*registry_).Add(labels);
}

prometheus::Gauge& Metrics::Gauge(const std::string& name, const std::string& help,
                                  const MetricLabels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(*registry_).Add(labels);
}

prometheus::Histogram& Metrics::Histogram(const std::string& name, const std::string& help,
                                          const std::vector<double>& buckets, const MetricLabels& labels) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(*registry_).Add(labels, buckets);
}

int Metrics::AddCollector(Collector collector) {
  absl::MutexLock lock(&mutex_);
  collectors_.emplace(next_collector_, std::move(collector));
  return next_collector_++;
}

void Metrics::RemoveCollector(int id) {
  absl::MutexLock lock(&mutex_);
  collectors_.erase(id);
}

std::string Metrics::Text() const {
  std::vector<prometheus::MetricFamily> families = registry_->Collect();
  MetricSnapshot snapshot;
  snapshot.Gauge("process_resident_memory_bytes", "Resident memory size in bytes.").Add(ResidentBytes());
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, collector] : collectors_) collector(snapshot);
  }
  std::vector<prometheus::MetricFamily> taken = snapshot.Take();
  families.insert(families.end(), std::make_move_iterator(taken.begin()),
                  std::make_move_iterator(taken.end()));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace baton
