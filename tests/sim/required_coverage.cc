#include "services/kv_transfer/handoff/owner.h"
#include "services/kv_transfer/handoff/reader.h"
#include "tests/sim/seed_runner.h"
#include "tests/sim/sim_handoff.h"

namespace baton::sim {
namespace {

using Names = std::vector<std::string>;

void Add(Names* all, const std::string& prefix, const Names& names) {
  for (const std::string& name : names) all->push_back(prefix + name);
}

void AddHandoff(Names* all) {
  for (const auto& step : HandoffOwner::LegalTransitions())
    all->push_back(OwnerTransitionName(step.from, step.to));
  for (const auto& step : HandoffReader::LegalTransitions())
    all->push_back(ReaderTransitionName(step.from, step.to));
  Add(all, "owner/", {"read served", "read refused"});
  Add(all, "reader/",
      {"units match", "units differ", "lost fenced", "lost unfenced", "fence overdue",
       "closes its connection", "read done/OK", "read done/CANCELLED", "read done/FAILED_PRECONDITION"});
  Add(all, "handoff/command/",
      {"own begin", "own offer", "own seal", "own revoke", "pull begin", "pull cancel"});
  Add(all, "handoff/event/", {"own ended", "pull held", "pull lost", "pull fenced"});
}

void AddWorker(Names* all) {
  Add(all, "engine/command/",
      {"serve", "prefill", "reserve", "adopt", "recompute", "fenced", "cancel", "release", "fetch", "publish",
       "share"});
  Add(all, "engine/event/", {"token", "reserved", "computed", "shared", "prefilled", "failed"});
  Add(all, "engine/", {"preempted", "prefix hit"});
  Add(all, "worker/emits/",
      {"accepted", "token", "finished", "first token", "handoff ended", "shared", "fetched"});
  const Names ends = {"OK", "ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNAVAILABLE"};
  Add(all, "worker/decode ends/", ends);
  Add(all, "worker/prefill ends/", ends);
  Add(all, "worker/share ends/", {"OK", "CANCELLED", "RESOURCE_EXHAUSTED"});
  Add(all, "worker/fetch ends/", {"OK", "CANCELLED", "RESOURCE_EXHAUSTED", "UNAVAILABLE"});
  Add(all, "worker/", {"refused", "superseded", "reader too slow", "call broken", "out of time"});
}

void AddRouter(Names* all) {
  Add(all, "session/",
      {"new -> placing", "placing -> opening", "placing -> done", "opening -> running", "opening -> backoff",
       "opening -> done", "running -> backoff", "running -> done", "backoff -> placing", "backoff -> done"});
  Add(all, "admission/", {"admitted", "queued", "admitted from the queue", "rejected", "expired"});
  Add(all, "placement/", {"split", "direct", "none", "replay"});
  Add(all, "router/",
      {"event of an old attempt", "ended quietly", "reader too slow", "worker silent",
       "left a silent worker"});
  Add(all, "stream/", {"held", "recomputed"});
  Add(all, "move/",
      {"begun", "done", "done after a drain", "given up", "fetch held", "fetch lost", "nothing shared",
       "another round", "taken over while fetching", "taken over while switching"});
  Add(all, "client/end/", {"OK", "CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNAVAILABLE"});
  Add(all, "client/", {"token again after reconnection"});
}

void AddFaults(Names* all) {
  Add(all, "fault/",
      {"crash and restart", "crash for good", "pause", "zombie", "partition", "one-way partition",
       "call broken", "router crash", "router pause", "router shutdown", "drain", "role flip",
       "client goes away", "client reconnects"});
  for (const char* verb : {"open", "opened", "refused", "offer", "offer_ack", "renew", "renewed", "revoke",
                           "seal", "confirm", "verdict", "release", "read", "bytes"}) {
    Add(all, absl::StrCat("wire/", verb, "/"), {"lost", "duplicated", "late", "cut off"});
  }
  Add(all, "wire/", {"bytes/corrupted", "bytes/landed after abort", "busy", "slow fence"});
  for (const char* call : {"decode", "prefill", "share", "fetch", "watch"}) {
    Add(all, absl::StrCat("call/", call, "/"),
        {"broken at client", "broken at server", "half open at client", "half open at server", "stalled"});
  }
}

}  // namespace

std::vector<std::string> RequiredCoverage() {
  Names all;
  AddHandoff(&all);
  AddWorker(&all);
  AddRouter(&all);
  AddFaults(&all);
  return all;
}

}  // namespace baton::sim
