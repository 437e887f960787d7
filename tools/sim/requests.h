#pragma once

// A trace as the requests that a simulation sends.

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tools/load/trace.h"

namespace baton::simulator {

struct TraceOptions {
  double length_scale = 1;       // of prompts, answers and shared blocks
  uint32_t max_prompt = 131072;  // tokens; longer ones are cut
};

struct Request {
  double at_s = 0;
  uint32_t prompt = 0, answer = 0;    // tokens
  absl::Span<const uint32_t> blocks;  // whole shared blocks of the prompt, as small numbers; of the trace
};

// Rows with their shared blocks by small numbers. Requests point into it.
struct Trace {
  struct Row {
    double at_s = 0;
    uint32_t prompt = 0, answer = 0;
    std::vector<uint32_t> blocks;
  };
  std::vector<Row> rows;       // by time
  uint32_t block_tokens = 16;  // a page of the simulated ranks
  bool shares = false;         // rows name blocks: what is said of caches means something
};

// InvalidArgument if the format has no times, or the rows are too few to be halved.
absl::StatusOr<Trace> PrepareTrace(const std::vector<load::TraceRow>& rows, const TraceOptions& options);

enum class Half { kFirst, kSecond, kWhole };

struct Arrivals {
  Half half = Half::kSecond;
  double rate = 1;       // requests a second; the trace's gaps are stretched alike
  uint64_t seed = 1;     // spreads each arrival over 3 s of the trace: Mooncake's times are multiples of that
  size_t most = 100000;  // requests
};

// By time, from 0 on.
std::vector<Request> MakeRequests(const Trace& trace, const Arrivals& arrivals);

}  // namespace baton::simulator
