#include "services/router/serve/router_metrics.h"

namespace baton::router {
namespace {

const std::vector<double> kTtftBuckets = {.01, .025, .05, .1, .2, .4, .8, 1.6, 3.2, 6.4, 12.8, 25.6, 60, 120};
const std::vector<double> kItlBuckets = {.001, .0025, .005, .01, .02, .04, .08, .16, .32, .64, 1.28, 5, 20};

prometheus::Counter& Handoffs(Metrics& metrics, const char* outcome) {
  return metrics.Counter("baton_router_handoffs_total", "Streams by what became of their prompt's KV.",
                         {{"outcome", outcome}});
}

prometheus::Counter& Dropped(Metrics& metrics, const char* why) {
  return metrics.Counter("baton_router_dropped_tokens_total", "Tokens from workers that were not emitted.",
                         {{"reason", why}});
}

prometheus::Counter& Moves(Metrics& metrics, const char* outcome) {
  return metrics.Counter("baton_router_migrations_total", "Moves of running streams to another rank.",
                         {{"outcome", outcome}});
}

prometheus::Counter& Fetches(Metrics& metrics, const char* outcome) {
  return metrics.Counter("baton_router_migration_fetches_total", "Handoffs that such moves made.",
                         {{"outcome", outcome}});
}

}  // namespace

RouterMetrics::RouterMetrics(Metrics& metrics)
    : metrics_(metrics),
      ttft_(metrics.Histogram("baton_router_ttft_seconds", "Arrival to first token.", kTtftBuckets)),
      itl_(metrics.Histogram("baton_router_itl_seconds", "Gap between tokens of a stream.", kItlBuckets)),
      prompt_tokens_(
          metrics.Counter("baton_router_prompt_tokens_total", "Prompt tokens of accepted requests.")),
      generated_tokens_(metrics.Counter("baton_router_generated_tokens_total", "Tokens emitted to clients.")),
      retries_(metrics.Counter("baton_router_retries_total", "Attempts after a stream's first.")),
      replays_(metrics.Counter("baton_router_replays_total",
                               "Attempts that went on with a stream whose tokens were out (exact replay).")),
      failures_(metrics.Counter("baton_router_failed_streams_total", "Streams that ended in an error.")),
      stale_(Dropped(metrics, "stale")),
      repeated_(Dropped(metrics, "repeated")),
      differing_(Dropped(metrics, "differing")),
      held_(Handoffs(metrics, "held")),
      lost_(Handoffs(metrics, "lost")),
      direct_(Handoffs(metrics, "local")),
      moved_(Moves(metrics, "moved")),
      not_moved_(Moves(metrics, "stayed")),
      fetches_held_(Fetches(metrics, "held")),
      fetches_lost_(Fetches(metrics, "lost")),
      inexact_(metrics.Counter("baton_streams_inexact_total",
                               "Streams whose prompt was computed by a worker of another fingerprint.")),
      resumed_(metrics.Counter("baton_router_resumed_answers_total",
                               "Answers that went on for a client that came back.")),
      disconnects_(metrics.Counter("baton_router_client_disconnects_total",
                                   "Clients that left before their answer's end.")),
      slow_readers_(metrics.Counter("baton_router_slow_readers_total",
                                    "Streams ended because the client read too slowly.")) {}

void RouterMetrics::Answered(int http_status) {
  metrics_
      .Counter("baton_router_requests_total", "Requests answered, by HTTP status.",
               {{"status", std::to_string(http_status)}})
      .Increment();
}

void RouterMetrics::StreamEnded(const StreamSession& session, bool failed) {
  const EmissionCounts& counts = session.emission().counts();
  generated_tokens_.Increment(static_cast<double>(counts.emitted));
  stale_.Increment(static_cast<double>(counts.stale));
  repeated_.Increment(static_cast<double>(counts.repeated));
  differing_.Increment(static_cast<double>(counts.differing));
  if (session.counts().attempts > 1) retries_.Increment(session.counts().attempts - 1);
  replays_.Increment(session.counts().replays);
  moved_.Increment(session.counts().moves);
  not_moved_.Increment(session.counts().moves_failed);
  fetches_held_.Increment(session.counts().fetches_held);
  fetches_lost_.Increment(session.counts().fetches_lost);
  if (failed) failures_.Increment();
  switch (session.counts().handoff) {
    case HandoffOutcome::kHeld:
      held_.Increment();
      break;
    case HandoffOutcome::kLost:
      lost_.Increment();
      break;
    case HandoffOutcome::kLocal:
      direct_.Increment();
      break;
    case HandoffOutcome::kUnknown:
      break;
  }
}

}  // namespace baton::router
