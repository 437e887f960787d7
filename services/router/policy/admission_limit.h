#pragma once

// How many requests may be worked on at once, so that those that are meet their SLO: learnt from what became
// of the last ones, without a model of the workers.
//
// Doubles while all is well and the limit holds requests back; after the first cut it grows by a tenth (Chiu,
// Jain: "Analysis of the increase and decrease algorithms", 1989: additive up, multiplicative down). When
// more than a tenth of a window's requests missed their targets, it is cut by how far the 90th percentile
// missed, to no less than half. Only requests that were admitted since the last change are judged: earlier
// ones suffered under another limit.
//
// Decision class: not thread-safe.

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "common/clock.h"

namespace baton::router {

struct AdmissionLimitConfig {
  uint64_t most = 256;
  uint64_t start = 8;  // where there are targets; without any, the limit is `most`
  absl::Duration first_token_target = absl::InfiniteDuration();  // from admission
  absl::Duration gap_target = absl::InfiniteDuration();          // mean between a request's tokens
  absl::Duration window = absl::Seconds(1);                      // and no less than `samples` requests
  uint32_t samples = 4;
};

class AdmissionLimit {
 public:
  explicit AdmissionLimit(const AdmissionLimitConfig& config);

  uint64_t value() const { return value_; }
  // A request had to wait because of the limit.
  void HeldBack() { held_back_ = true; }
  // What became of one that was admitted at `admitted`.
  void FirstToken(MonoTime admitted, MonoTime now);
  void MeanGap(MonoTime admitted, absl::Duration gap, MonoTime now);

 private:
  bool Adapts() const;
  void Judge(MonoTime admitted, double ratio, MonoTime now);
  void Decide(MonoTime now);

  const AdmissionLimitConfig config_;
  uint64_t value_;
  bool cut_once_ = false;
  bool held_back_ = false;
  MonoTime since_ = absl::InfinitePast();  // the last change
  MonoTime window_start_ = absl::InfinitePast();
  std::vector<double> ratios_;
};

}  // namespace baton::router
