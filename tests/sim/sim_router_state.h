#pragma once

// What one life of a simulated router knows. Private to sim_router*.cc.

#include <map>
#include <memory>
#include <optional>

#include "services/router/policy/policy.h"
#include "tests/sim/sim_router.h"

namespace baton::sim {

// One call of a stream's attempt, and the load it was charged for.
struct RouterCall {
  Calls::Id id = 0;
  Attempt attempt;
  router::RankRef rank;
  uint64_t tokens = 0;
};

struct SimRouter::Stream {
  Stream(Client* client, uint32_t claim, const router::SessionConfig& config, const router::SessionSpec& spec)
      : client(client), claim(claim), deadline(spec.deadline), session(config, spec) {}

  Client* client;
  uint32_t claim;
  MonoTime deadline;
  router::StreamSession session;
  router::AdmissionTicket ticket = 0;
  bool admitted = false;
  std::optional<RouterCall> decode, prefill;
  std::optional<RouterCall> next;         // the decode call of a move's target
  std::optional<Calls::Id> share, fetch;  // of a move under way
  Id128 move_id;
  bool draining = false;  // the move under way is a drain's
  Attempt token_attempt;  // of the event being fed: whose token it really is
  int64_t untaken = 0;
  bool taking = false;
  MonoTime timer = absl::InfiniteFuture();

  const Request& request() const { return client->request(); }
};

struct SimRouter::Life {
  Life(const router::AdmissionConfig& admission)
      : table(router::WorkerTableConfig{}), admission(admission), drain_moves({.max_moving = 4}) {}

  router::WorkerTable table;
  std::unique_ptr<router::Policy> policy;  // from the first placement on
  router::PolicyRandom random{0};
  uint64_t placements = 0;
  router::Admission admission;
  router::DrainMoves drain_moves;
  router::AdmissionTicket next_ticket = 1;
  std::map<StreamId, Stream> streams;
  std::map<router::AdmissionTicket, StreamId> tickets;
};

}  // namespace baton::sim
