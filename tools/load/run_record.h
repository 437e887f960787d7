#pragma once

// The run record: one JSON file per run of the load generator, of a chaos scenario or of an experiment, read
// by the reports. Times are in milliseconds or seconds, as the names say; a time "at" counts from the run's
// start.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace baton::load {

// A distribution in a few numbers. Absent: too few samples (p50 wants 10, p90 100, p95 200, p99 1,000, p99.9
// 10,000; mean and max want one).
struct Spread {
  int64_t count = 0;
  std::optional<double> mean, p50, p90, p95, p99, p999, max;
};

struct Summary {
  std::map<std::string, Spread> spreads;  // "ttft_ms", "itl_ms", "tpot_ms", "e2e_ms", "lag_ms", "loop_lag_ms"
  int64_t requests = 0;                   // that were scheduled within the measured time
  int64_t completed = 0;                  // of these: ended as they should
  int64_t cancelled = 0;                  // by the client, as planned
  std::map<std::string, int64_t> errors;  // by kind: "429", "connect", "timeout", "mid_stream", ...
  double requests_per_s = 0, input_tokens_per_s = 0, output_tokens_per_s = 0;
  double goodput_per_s = 0;           // completed requests a second that met both SLOs
  std::optional<double> good_share;   // of the requests that were not cancelled by the client
  std::map<std::string, double> slo;  // "ttft_ms", "tpot_ms": the limits that `goodput_per_s` is of
  std::map<std::string, Summary> tenants;
};

struct Bucket {
  double upper = 0;
  int64_t count = 0;
};

struct Timeline {
  double bin_s = 0;
  std::map<std::string, std::vector<std::optional<double>>> series;
};

struct Mark {
  double at_s = 0;
  std::string kind, what;
};

struct RunResult {
  std::string label;
  double rate = 0;  // requests a second that were wanted
  int repeat = 0;
  double duration_s = 0;  // measured: without warm-up and drain
  Summary summary;
  std::map<std::string, std::vector<Bucket>> histograms;
  Timeline timeline;
  std::vector<Mark> marks;
};

struct Row {  // DESIGN section 10
  std::string name;
  double value = 0;
  std::string unit, peer;
  std::optional<double> peer_value, ratio, target;
};

struct Check {
  std::string name;
  bool ok = false;
  std::string detail;
};

struct RunRecord {
  std::string name, started, machine, commit;
  std::map<std::string, std::string> versions, config;
  bool valid = true;  // false: the client could not keep its schedule
  std::string invalid_why;
  std::string hypothesis;              // experiments only
  std::optional<bool> held, expected;  // experiments only
  std::vector<Row> rows;
  std::vector<Check> checks;
  std::vector<RunResult> runs;
};

inline constexpr char kRunFormat[] = "baton-run-1";
inline constexpr size_t kMostRecordBytes = size_t{256} << 20;

// One line of JSON, with a line break at its end.
std::string ToJson(const RunRecord& record);

// INVALID_ARGUMENT that names the member where it is not a run record: unknown members are passed over,
// absent ones keep their defaults ("format" must be there), one of a wrong type is an error.
// RESOURCE_EXHAUSTED where it is larger than kMostRecordBytes.
absl::StatusOr<RunRecord> ParseRunRecord(absl::string_view text);

// As ParseRunRecord; its errors name the file. NOT_FOUND if there is none.
absl::StatusOr<RunRecord> ReadRunRecord(const std::string& path);

// Readers see the old file or the new, never a part.
absl::Status WriteRunRecord(const std::string& path, const RunRecord& record);

// "2026-11-23T01:20:00Z", and the processor's name with the number of cores: for `started` and `machine`.
std::string UtcNow();
std::string MachineName();

}  // namespace baton::load
