#include "tools/load/stream_measure.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace baton::load {

std::string ErrorKind(const StreamRecord& record) {
  switch (record.outcome) {
    case Outcome::kCompleted:
    case Outcome::kCancelled:
      return "";
    case Outcome::kConnect:
      return "connect";
    case Outcome::kHttpStatus:
      return absl::StrCat(record.http_status);
    case Outcome::kTimeout:
      return "timeout";
    case Outcome::kMidStream:
      return "mid_stream";
    case Outcome::kDisconnect:
      return "disconnect";
    case Outcome::kShort:
      return "short";
    case Outcome::kNotSent:
      return "not_sent";
    case Outcome::kUnfinished:
      return "unfinished";
  }
  return "unknown";
}

StreamMeasure Measure(const StreamRecord& record, const Slo& slo) {
  StreamMeasure measure;
  if (!record.arrivals.empty()) {
    measure.ttft = record.arrivals.front().at - record.scheduled;
    for (size_t i = 1; i < record.arrivals.size(); ++i) {
      measure.itl.push_back(record.arrivals[i].at - record.arrivals[i - 1].at);
    }
    const int64_t after_first = record.output_tokens - record.arrivals.front().tokens;
    if (after_first > 0 && record.arrivals.size() > 1) {
      measure.tpot = (record.arrivals.back().at - record.arrivals.front().at) / after_first;
    }
  }
  if (record.outcome != Outcome::kCompleted) return measure;
  measure.e2e = record.ended - record.scheduled;
  measure.good = measure.ttft.value_or(absl::InfiniteDuration()) <= slo.ttft &&
                 measure.tpot.value_or(absl::ZeroDuration()) <= slo.tpot;
  return measure;
}

}  // namespace baton::load
