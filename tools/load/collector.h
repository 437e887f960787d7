#pragma once

// Streams in, the figures of a run out. Pure; not thread-safe.
//
// Latencies, errors and goodput are of the requests whose scheduled arrival lies in the measured time (after
// the warm-up, before the end of the arrivals), however long they take. Tokens a second are of the tokens
// that arrived in the measured time, whoever asked for them. The timeline is of everything.

#include <map>
#include <string>

#include "tools/load/histogram.h"
#include "tools/load/plan.h"
#include "tools/load/run_record.h"
#include "tools/load/stream_measure.h"
#include "tools/load/timeline.h"

namespace baton::load {

struct Window {
  MonoTime origin;             // of the plan's times
  absl::Duration warmup, end;  // measured: scheduled at [warmup, end)
};

// A run is valid if no request was left unsent for want of a connection, at most 1% of the requests (rounded
// up) were sent more than `max_lag` after their schedule, and at most 1% of the looks at the clock, 100 a
// second, came more than `max_lag` late.
struct ValidityRule {
  absl::Duration max_lag = absl::Milliseconds(20);
};

class Collector {
 public:
  Collector(const Window& window, const Slo& slo, absl::Duration bin);

  void Add(const PlannedRequest& request, const StreamRecord& record);
  void AddLoopLag(absl::Duration lag) { loop_lag_.Add(lag); }

  // Empty: the run is valid. Otherwise why it is not, for a person.
  std::string WhyInvalid(const ValidityRule& rule) const;
  // All figures; `label`, `rate`, `repeat` and `marks` are the caller's.
  RunResult Result() const;

 private:
  struct Figures {
    std::map<std::string, Histogram> histograms;
    int64_t requests = 0, completed = 0, cancelled = 0, good = 0;
    int64_t input_tokens = 0, output_tokens = 0;
    std::map<std::string, int64_t> errors;
  };
  bool Measured(MonoTime at) const;
  void Count(const StreamRecord& record, const StreamMeasure& measure, Figures& into) const;
  Summary Summarise(const Figures& figures) const;

  Window window_;
  Slo slo_;
  TimelineBins timeline_;
  Figures all_;
  std::map<std::string, Figures> tenants_;
  Histogram loop_lag_, lag_;
  int64_t no_connection_ = 0;
};

}  // namespace baton::load
