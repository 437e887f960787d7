#include "tools/load/timeline.h"

#include <algorithm>

namespace baton::load {

TimelineBins::Bin& TimelineBins::At(MonoTime time) {
  const double index =
      std::clamp(absl::FDivDuration(time - origin_, bin_), 0.0, static_cast<double>(kMostBins - 1));
  if (index >= static_cast<double>(bins_.size())) bins_.resize(static_cast<size_t>(index) + 1);
  return bins_[static_cast<size_t>(index)];
}

void TimelineBins::Add(const StreamRecord& record, const StreamMeasure& measure) {
  if (record.Sent()) {
    ++At(record.sent).sent;
    ++At(record.ended).ended;
  }
  if (!ErrorKind(record).empty()) ++At(record.ended).errors;
  if (measure.ttft) {
    At(record.arrivals.front().at)
        .ttft_ms.push_back(static_cast<float>(absl::ToDoubleMilliseconds(*measure.ttft)));
  }
  for (size_t i = 0; i < record.arrivals.size(); ++i) {
    Bin& bin = At(record.arrivals[i].at);
    bin.tokens += record.arrivals[i].tokens;
    if (i > 0) bin.itl_ms_max = std::max(bin.itl_ms_max, absl::ToDoubleMilliseconds(measure.itl[i - 1]));
  }
}

Timeline TimelineBins::Series() const {
  Timeline timeline;
  timeline.bin_s = absl::ToDoubleSeconds(bin_);
  auto& series = timeline.series;
  for (const char* name :
       {"output_tokens_per_s", "ttft_ms_p50", "itl_ms_max", "running", "sent_per_s", "errors"}) {
    series[name].reserve(bins_.size());
  }
  int64_t running = 0;
  for (const Bin& bin : bins_) {
    running += bin.sent - bin.ended;
    series["output_tokens_per_s"].push_back(static_cast<double>(bin.tokens) / timeline.bin_s);
    series["sent_per_s"].push_back(static_cast<double>(bin.sent) / timeline.bin_s);
    series["running"].push_back(static_cast<double>(running));
    series["errors"].push_back(static_cast<double>(bin.errors));
    std::optional<double> median, longest;
    if (!bin.ttft_ms.empty()) {
      std::vector<float> sorted = bin.ttft_ms;
      std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2, sorted.end());
      median = sorted[sorted.size() / 2];
    }
    if (bin.itl_ms_max >= 0) longest = bin.itl_ms_max;
    series["ttft_ms_p50"].push_back(median);
    series["itl_ms_max"].push_back(longest);
  }
  return timeline;
}

}  // namespace baton::load
