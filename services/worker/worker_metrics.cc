#include "services/worker/worker_metrics.h"

#include <string>
#include <utility>

namespace baton {
namespace {

using Field = int64_t EngineLoad::*;
using PageField = int64_t PageCounts::*;

struct LoadMetric {
  const char* name;
  const char* help;
  Field field;
};

constexpr LoadMetric kGauges[] = {
    {"baton_sequences_running", "Sequences that decode", &EngineLoad::running},
    {"baton_sequences_waiting", "Sequences not yet started, or preempted", &EngineLoad::waiting},
    {"baton_backlog_tokens", "Prompt tokens not yet computed", &EngineLoad::backlog_tokens},
    {"baton_context_tokens", "Tokens of running sequences", &EngineLoad::context_tokens},
};
constexpr LoadMetric kCounters[] = {
    {"baton_preemptions_total", "Sequences preempted for want of pages", &EngineLoad::preemptions},
    {"baton_prefix_hits_total", "Prompts found in part in the prefix cache", &EngineLoad::prefix_hits},
    {"baton_prefix_hit_tokens_total", "Prompt tokens found in the prefix cache",
     &EngineLoad::prefix_hit_tokens},
    {"baton_computed_tokens_total", "Tokens whose keys and values were computed",
     &EngineLoad::computed_tokens},
    {"baton_generated_tokens_total", "Tokens generated", &EngineLoad::generated_tokens},
    {"baton_engine_steps_total", "Steps of the model", &EngineLoad::steps},
};
constexpr std::pair<const char*, PageField> kClasses[] = {
    {"free", &PageCounts::free},       {"used", &PageCounts::used},
    {"cached", &PageCounts::cached},   {"pinned", &PageCounts::pinned},
    {"pulling", &PageCounts::pulling}, {"quarantined", &PageCounts::quarantined},
};

void CollectRanks(const WorkerStatus& status, MetricSnapshot& out) {
  const auto label = [](size_t rank) { return MetricLabels{{"rank", std::to_string(rank)}}; };
  out.Gauge("baton_pages", "KV pages by class; the classes sum to the total");
  for (size_t rank = 0; rank < status.ranks.size(); ++rank) {
    for (const auto& [name, field] : kClasses) {
      MetricLabels labels = label(rank);
      labels["class"] = name;
      out.Add(static_cast<double>(status.ranks[rank].pages.*field), labels);
    }
  }
  const auto each = [&](const LoadMetric& metric) {
    for (size_t rank = 0; rank < status.ranks.size(); ++rank) {
      out.Add(static_cast<double>(status.ranks[rank].*metric.field), label(rank));
    }
  };
  for (const LoadMetric& metric : kGauges) {
    out.Gauge(metric.name, metric.help);
    each(metric);
  }
  for (const LoadMetric& metric : kCounters) {
    out.Counter(metric.name, metric.help);
    each(metric);
  }
}

void CollectHandoffs(const HandoffNode::Stats& stats, MetricSnapshot& out) {
  out.Counter("baton_handoffs_total", "Handoffs ended, by this side's part and the verdict")
      .Add(static_cast<double>(stats.owned_held), {{"side", "owner"}, {"outcome", "held"}})
      .Add(static_cast<double>(stats.owned_lost), {{"side", "owner"}, {"outcome", "lost"}})
      .Add(static_cast<double>(stats.pulled_held), {{"side", "reader"}, {"outcome", "held"}})
      .Add(static_cast<double>(stats.pulled_lost), {{"side", "reader"}, {"outcome", "lost"}});
  out.Counter("baton_handoff_pulls_lost_total",
              "Handoffs lost by their reader, by cause; others are in no class")
      .Add(static_cast<double>(stats.pulls_refused), {{"cause", "refused"}})
      .Add(static_cast<double>(stats.pulls_revoked), {{"cause", "revoked"}})
      .Add(static_cast<double>(stats.pulls_timed_out), {{"cause", "timed_out"}})
      .Add(static_cast<double>(stats.checksum_failures), {{"cause", "checksum"}});
  out.Counter("baton_handoff_bytes_total", "KV bytes moved")
      .Add(static_cast<double>(stats.bytes_in), {{"direction", "in"}})
      .Add(static_cast<double>(stats.bytes_out), {{"direction", "out"}});
  out.Counter("baton_handoff_checksum_failures_total", "KV units whose bytes did not match their checksum")
      .Add(static_cast<double>(stats.checksum_failures));
  out.Counter("baton_handoff_malformed_total", "Handoff messages that made no sense")
      .Add(static_cast<double>(stats.malformed));
  out.Counter("baton_handoff_denied_total",
              "Connections turned away: their key is not listed, or they have none")
      .Add(static_cast<double>(stats.denied));
  out.Counter("baton_handoff_owners_gone_total",
              "Connections to owners that broke for good while handoffs went over them")
      .Add(static_cast<double>(stats.owners_gone));
  out.Counter("baton_handoff_refused_total", "Handoff requests refused")
      .Add(static_cast<double>(stats.refused));
  out.Gauge("baton_handoff_leases", "Leases that this process has granted")
      .Add(static_cast<double>(stats.leases));
  out.Gauge("baton_handoff_pulls", "Pulls under way").Add(static_cast<double>(stats.pulls));
}

void CollectLinks(const WorkerStatus& status, MetricSnapshot& out) {
  const auto labels = [](const WireLink& link) {
    return MetricLabels{{"peer", link.endpoint}, {"wire", link.wire}};
  };
  out.Gauge(
      "baton_kv_wire_gigabytes_per_second",
      "What the probe of a wire to a peer measured when it was chosen; wire \"none\": not as asked for");
  for (const WireLink& link : status.kv_links) out.Add(link.gbps, labels(link));
  out.Gauge("baton_kv_wire_round_trip_seconds",
            "The shortest round trip of a message to a peer, over a lane or ZeroMQ");
  for (const WireLink& link : status.kv_links) {
    out.Add(absl::ToDoubleSeconds(link.round_trip),
            {{"peer", link.endpoint}, {"wire", link.wire}, {"messages", link.messages}});
  }
}

void CollectCalls(const WorkerStatus& status, MetricSnapshot& out) {
  const WorkerCounters& counters = status.counters;
  out.Gauge("baton_calls_open", "Decode and Prefill calls open").Add(static_cast<double>(status.open_calls));
  out.Gauge("baton_sequences_owed", "Sequences with an open call, an unfenced read or an open lease")
      .Add(static_cast<double>(status.jobs));
  out.Counter("baton_calls_total", "Decode and Prefill calls, by what became of them")
      .Add(static_cast<double>(counters.finished), {{"result", "finished"}})
      .Add(static_cast<double>(counters.refused), {{"result", "refused"}})
      .Add(static_cast<double>(counters.broken), {{"result", "broken"}})
      .Add(static_cast<double>(counters.failed), {{"result", "failed"}})
      .Add(static_cast<double>(counters.too_slow), {{"result", "too_slow"}})
      .Add(static_cast<double>(counters.out_of_time), {{"result", "out_of_time"}})
      .Add(static_cast<double>(status.drain.cut_off), {{"result", "cut_off"}});
  out.Counter("baton_handoffs_inexact_total",
              "Handoffs held by their reader of KV that was computed or stored otherwise")
      .Add(static_cast<double>(counters.pulled_inexact));
  out.Counter("baton_superseded_total", "Attempts refused or ended for a higher one")
      .Add(static_cast<double>(counters.superseded));
  out.Gauge("baton_stream_records", "Streams whose request and tokens are kept for whoever resumes them")
      .Add(static_cast<double>(status.records));
  out.Gauge("baton_stream_record_bytes", "Memory of these records, about")
      .Add(static_cast<double>(status.record_bytes));
  out.Counter("baton_streams_lingered_total", "Streams that ran on when their router's call broke")
      .Add(static_cast<double>(counters.lingered));
  out.Counter("baton_streams_resumed_total", "Streams that another router took over alive or finished")
      .Add(static_cast<double>(counters.resumed));
  out.Gauge("baton_draining", "1 while the worker drains").Add(status.drain.draining ? 1 : 0);
  out.Gauge("baton_healthy", "0 after an integrity violation or while an engine is wedged")
      .Add(status.health.ok() ? 1 : 0);
}

}  // namespace

void CollectWorkerMetrics(const Worker& worker, MetricSnapshot& out) {
  const WorkerStatus status = worker.Status();
  CollectRanks(status, out);
  CollectHandoffs(status.handoff, out);
  CollectLinks(status, out);
  CollectCalls(status, out);
}

}  // namespace baton
