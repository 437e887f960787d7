#pragma once

// The measurements of `baton bench kv`: each compares a handoff with what the machine does plainly, turn by
// turn.

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "benchmarks/kv/kv_case.h"
#include "benchmarks/kv/kv_limits.h"
#include "benchmarks/kv/kv_report.h"

namespace baton {

struct SuiteOptions {
  bool quick = false;
  int rounds = 15;
  std::vector<WireChoice> wires;
  int64_t memory_bytes = 0;  // that may be used; larger cases are left out, and said to be
  std::function<void(const std::string&)> tell;
};

class KvSuite {
 public:
  explicit KvSuite(SuiteOptions options) : options_(std::move(options)) {}
  absl::StatusOr<std::vector<KvRow>> Run();

 private:
  struct Shape {
    std::string model;
    int64_t tokens = 0;
    int page_tokens = 16;
    WireChoice wire = WireChoice::kShm;
    int readers = 1;
  };
  // A size over a wire, beside the plain limit of that wire.
  absl::Status Throughput(const Shape& shape, double target);
  absl::Status Latency(const std::string& model);
  absl::Status Checksums(WireChoice wire, double limit);
  absl::Status Overlap();
  bool Fits(const KvCase& kv);
  KvCase CaseOf(const Shape& shape) const;
  static std::string NameOf(const Shape& shape);

  const SuiteOptions options_;
  std::vector<KvRow> rows_;
  std::vector<double> ucx_gbps_;
};

}  // namespace baton
