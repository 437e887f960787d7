#pragma once

// What the router counts. Thread-safe.

#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include <string>

#include "absl/time/time.h"
#include "common/metrics.h"
#include "services/router/policy/stream_session.h"

namespace baton::router {

class RouterMetrics {
 public:
  explicit RouterMetrics(Metrics& metrics);

  void Answered(int http_status);
  void FirstToken(absl::Duration since_arrival) { ttft_.Observe(absl::ToDoubleSeconds(since_arrival)); }
  void NextToken(absl::Duration since_last) { itl_.Observe(absl::ToDoubleSeconds(since_last)); }
  void PromptTokens(uint64_t tokens) { prompt_tokens_.Increment(static_cast<double>(tokens)); }
  void StreamEnded(const StreamSession& session, bool failed);
  void Resumed() { resumed_.Increment(); }
  void Inexact() { inexact_.Increment(); }
  void ClientGone() { disconnects_.Increment(); }
  void ReaderTooSlow() { slow_readers_.Increment(); }
  std::string Text() const { return metrics_.Text(); }
  Metrics& metrics() { return metrics_; }

 private:
  Metrics& metrics_;
  prometheus::Histogram& ttft_;
  prometheus::Histogram& itl_;
  prometheus::Counter& prompt_tokens_;
  prometheus::Counter& generated_tokens_;
  prometheus::Counter& retries_;
  prometheus::Counter& replays_;
  prometheus::Counter& failures_;
  prometheus::Counter& stale_;
  prometheus::Counter& repeated_;
  prometheus::Counter& differing_;
  prometheus::Counter& held_;
  prometheus::Counter& lost_;
  prometheus::Counter& direct_;
  prometheus::Counter& moved_;
  prometheus::Counter& not_moved_;
  prometheus::Counter& fetches_held_;
  prometheus::Counter& fetches_lost_;
  prometheus::Counter& inexact_;
  prometheus::Counter& resumed_;
  prometheus::Counter& disconnects_;
  prometheus::Counter& slow_readers_;
};

}  // namespace baton::router
