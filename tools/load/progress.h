#pragma once

// One line about a run that goes on. Pure: says when it wants to be shown, and what.

#include <optional>
#include <string>

#include "tools/load/client.h"
#include "tools/load/histogram.h"

namespace baton::load {

class Progress {
 public:
  // On a terminal a line every 0.2 s, otherwise every 10 s.
  Progress(MonoTime origin, absl::Duration total, bool terminal);

  void Ended(const StreamRecord& record);
  // "12 s of 60, 48 sent, 7 running, 41 done, 310 tokens/s, TTFT p50 120 ms, 0 errors"; none: too early.
  std::optional<std::string> Line(MonoTime now, const Counters& counters);

 private:
  MonoTime origin_;
  absl::Duration total_, every_;
  MonoTime shown_;
  int64_t shown_tokens_ = 0;
  Histogram ttft_;  // of streams that ended
};

}  // namespace baton::load
