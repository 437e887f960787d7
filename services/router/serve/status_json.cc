#include "services/router/serve/status_json.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/router/openai/json_text.h"

namespace baton::router {
namespace {

const char* RoleName(WorkerRole role) {
  switch (role) {
    case WorkerRole::kPrefill:
      return "prefill";
    case WorkerRole::kDecode:
      return "decode";
    default:
      return "unknown";
  }
}

const char* Bool(bool value) {
  return value ? "true" : "false";
}

uint64_t OwnStreams(const std::vector<RankView>& ranks, RankRef ref) {
  for (const RankView& rank : ranks) {
    if (rank.ref == ref) return rank.own_streams;
  }
  return 0;
}

std::string RankJson(const RankReport& rank, uint64_t own_streams) {
  const PageClasses& pages = rank.pages;
  return absl::StrCat(R"({"rank":)", rank.rank, R"(,"running":)", rank.running, R"(,"waiting":)",
                      rank.waiting, R"(,"backlog_tokens":)", rank.backlog_tokens, R"(,"own_streams":)",
                      own_streams, R"(,"pages":{)", R"("total":)", pages.total(), R"(,"free":)", pages.free,
                      R"(,"used":)", pages.used, R"(,"cached":)", pages.cached, R"(,"pinned":)", pages.pinned,
                      R"(,"pulling":)", pages.pulling, R"(,"quarantined":)", pages.quarantined, "}}");
}

std::string WorkerJson(const std::string& endpoint, const WorkerState& state,
                       const std::vector<RankView>& ranks) {
  const std::string list = absl::StrJoin(state.ranks, ",", [&](std::string* out, const RankReport& rank) {
    absl::StrAppend(out, RankJson(rank, OwnStreams(ranks, {state.worker, rank.rank})));
  });
  return absl::StrCat(R"({"name":)", JsonString(state.facts.name), R"(,"endpoint":)", JsonString(endpoint),
                      R"(,"role":")", RoleName(state.role), R"(","healthy":)",
                      Bool(state.Usable() && !state.silent), R"(,"draining":)", Bool(state.draining),
                      R"(,"connected":)", Bool(state.connected), R"(,"silent":)", Bool(state.silent),
                      R"(,"epoch":")", state.epoch.ToHex(), R"(","model":)", JsonString(state.facts.model),
                      R"(,"fingerprint":)", JsonString(state.facts.fingerprint), R"(,"accepts_inexact_kv":)",
                      Bool(state.facts.accepts_inexact), R"(,"page_tokens":)", state.facts.page_tokens,
                      R"(,"max_context":)", state.facts.max_context, R"(,"ranks":[)", list, "]}");
}

std::string PlacementJson(const PlacementStatus& placement) {
  const PlacementCounts& counts = placement.counts;
  return absl::StrCat(R"({"policy":)", JsonString(placement.policy), R"(,"placed":)", counts.placed,
                      R"(,"prompt_tokens":)", counts.prompt_tokens, R"(,"held_tokens":)", counts.held_tokens,
                      R"(,"best_held_tokens":)", counts.best_held_tokens, R"(,"index":{"pairs":)",
                      placement.prefixes.pairs, R"(,"blocks":)", placement.prefixes.blocks, R"(,"bytes":)",
                      placement.prefixes.bytes, "}}");
}

}  // namespace

std::string StatusJson(const std::vector<std::pair<std::string, WorkerState>>& workers,
                       const std::vector<RankView>& ranks, const AdmissionGate::Load& load,
                       const PlacementStatus& placement) {
  const std::string list = absl::StrJoin(workers, ",", [&](std::string* out, const auto& worker) {
    absl::StrAppend(out, WorkerJson(worker.first, worker.second, ranks));
  });
  return absl::StrCat(R"({"router":{"inflight":)", load.inflight, R"(,"inflight_tokens":)",
                      load.inflight_tokens, R"(,"queued":)", load.queued, R"(,"queued_tokens":)",
                      load.queued_tokens, R"(,"limit":)", load.limit, R"(},"placement":)",
                      PlacementJson(placement), R"(,"workers":[)", list, "]}");
}

}  // namespace baton::router
