#pragma once

// What happened when: streams in, one number a bin out. Pure; not thread-safe.

#include <vector>

#include "common/clock.h"
#include "tools/load/run_record.h"
#include "tools/load/stream_measure.h"

namespace baton::load {

inline constexpr size_t kMostBins = 100000;  // what comes later counts to the last

class TimelineBins {
 public:
  TimelineBins(MonoTime origin, absl::Duration bin) : origin_(origin), bin_(bin) {}

  void Add(const StreamRecord& record, const StreamMeasure& measure);

  // "output_tokens_per_s", "ttft_ms_p50" and "itl_ms_max" (of the tokens that arrived in the bin; null: none
  // did), "running" (at the bin's end), "sent_per_s", "errors" (that ended in the bin).
  Timeline Series() const;

 private:
  struct Bin {
    int64_t tokens = 0, sent = 0, ended = 0, errors = 0;
    std::vector<float> ttft_ms;
    double itl_ms_max = -1;
  };
  Bin& At(MonoTime time);

  MonoTime origin_;
  absl::Duration bin_;
  std::vector<Bin> bins_;
};

}  // namespace baton::load
