#pragma once

// The latencies of one stream, from its scheduled arrival: a client that is late makes them longer, not
// shorter. Pure.

#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "tools/load/stream_record.h"

namespace baton::load {

// A stream is good if it completed and its TTFT and its TPOT are both within these. Infinite: no limit.
struct Slo {
  absl::Duration ttft = absl::InfiniteDuration(), tpot = absl::InfiniteDuration();
};

struct StreamMeasure {
  std::optional<absl::Duration> ttft;  // scheduled arrival to first token
  std::vector<absl::Duration> itl;     // gaps between events that brought tokens
  std::optional<absl::Duration>
      tpot;  // (last - first event) / tokens after the first event; none without such
  std::optional<absl::Duration> e2e;  // scheduled arrival to the end, of completed streams
  bool good = false;
};

StreamMeasure Measure(const StreamRecord& record, const Slo& slo);

}  // namespace baton::load
