#include "tools/load/progress.h"

#include "absl/strings/str_format.h"

namespace baton::load {

Progress::Progress(MonoTime origin, absl::Duration total, bool terminal)
    : origin_(origin),
      total_(total),
      every_(terminal ? absl::Milliseconds(200) : absl::Seconds(10)),
      shown_(origin) {}

void Progress::Ended(const StreamRecord& record) {
  if (!record.arrivals.empty()) ttft_.Add(record.arrivals.front().at - record.scheduled);
}

std::optional<std::string> Progress::Line(MonoTime now, const Counters& counters) {
  if (now - shown_ < every_) return std::nullopt;
  const double rate =
      static_cast<double>(counters.tokens - shown_tokens_) / absl::ToDoubleSeconds(now - shown_);
  shown_ = now;
  shown_tokens_ = counters.tokens;
  const std::string ttft = ttft_.count() == 0 ? "-" : absl::StrFormat("%.0f ms", *ttft_.QuantileMs(0.5));
  return absl::StrFormat(
      "%.0f s of %.0f, %d sent, %d running, %d done, %.0f tokens/s, TTFT p50 %s, %d errors",
      absl::ToDoubleSeconds(now - origin_), absl::ToDoubleSeconds(total_), counters.sent, counters.running,
      counters.done, rate, ttft, counters.errors);
}

}  // namespace baton::load
