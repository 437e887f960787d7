#pragma once

// What a stream's records say together, and how to go on from them (docs/streams.md). Pure, thread-safe.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/router/policy/placement.h"
#include "services/router/rpc/stream_card.h"
#include "services/router/rpc/worker_calls.h"
#include "services/router/serve/event_id.h"

namespace baton::router {

// A record, and the worker that keeps it.
struct FoundRecord {
  RecordMessage record;
  uint64_t worker = 0;
  std::string fingerprint;
};

struct ResumePlan {
  GenerateSpec spec;
  Attempt attempt;                  // the highest that any worker has seen
  std::vector<StreamToken> tokens;  // what need not be generated again
  bool inexact = false;
  std::optional<RankRef> live;  // goes on there, after `tokens`
  std::string fingerprint;      // of the worker that generated them
  uint32_t cached_tokens = 0;   // of the prompt, found in prefix caches then
};

// An answer to go on with.
struct ResumedAnswer {
  EventId id;  // of the last event that the client has, but with the claim that is now its
  StreamCard card;
  std::vector<ResumePlan> choices;
};

// From the record of the most tokens; others of the same fingerprint lend the
// log-probabilities that it lacks. If a token's are known to nobody though the client wants them, the plan
// ends before that token, which is then generated again: even if the client has the token, its text, and they
// with it, may have been held back. nullopt: no record.
std::optional<ResumePlan> PlanResume(std::vector<FoundRecord> found);

}  // namespace baton::router
