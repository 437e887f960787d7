#pragma once

// A router's node: WorkerTable, Admission and one StreamSession a stream, put together as services/router
// does around HTTP and gRPC.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/router/policy/admission.h"
#include "services/router/policy/drain_moves.h"
#include "services/router/policy/placement.h"
#include "services/router/policy/stream_session.h"
#include "services/router/policy/worker_table.h"
#include "tests/sim/client.h"
#include "tests/sim/sim_worker.h"

namespace baton::sim {

struct RouterCall;

class SimRouter {
 public:
  SimRouter(const Context& context, NodeId node, std::vector<std::unique_ptr<SimWorker>>* workers);
  ~SimRouter();

  NodeId node() const { return node_; }
  bool alive() const { return life_ != nullptr; }
  void Start();
  void Crash();
  void MoveAny(uint64_t which);  // some stream that decodes, to some rank that could take it
  void ShutDown();               // its grace time is over: every stream ends in an error

  // The client connects under its present claim, and its request arrives after `delay`.
  void Connect(Client* client, absl::Duration delay);
  void OnClientGone(const StreamId& stream);

  std::string WhyNotAtBaseline() const;

 private:
  struct Stream;
  struct Life;
  static constexpr absl::Duration kTick = absl::Milliseconds(100);

  void OnRequest(Client* client);
  void Watch(int worker);
  void Tick();
  void Begin(Stream& stream);
  void OnAdmission(const router::AdmissionChanges& changes);
  // Feeds a session one event and carries out what follows.
  using Feed = std::function<router::SessionActions(Stream&)>;
  void Drive(const StreamId& id, uint32_t claim, const Feed& feed);
  void Carry(Stream& stream, router::SessionActions actions);
  router::SessionActions Act(Stream& stream, const router::SessionAction& action);
  router::SessionActions Place(Stream& stream, const router::Place& place);
  router::SessionActions OpenDecode(Stream& stream, const router::OpenDecode& open);
  router::SessionActions OpenPrefill(Stream& stream, const router::OpenPrefill& open);
  router::SessionActions OpenShare(Stream& stream, const router::OpenShare& open);
  router::SessionActions OpenFetch(Stream& stream, const router::OpenFetch& open);
  void OnMoveEnded(Stream& stream, const router::MoveEnded& ended);
  void LeaveSilent(uint64_t worker);
  void MoveDraining();
  void Move(const StreamId& id, router::RankRef target, bool draining);
  PrefixMove Moving(const Stream& stream, uint32_t round, const std::vector<TokenId>& emitted) const;
  void CancelMove(Stream& stream);
  // A call of a move's round; `feed` gets its events.
  using FeedMove = std::function<router::SessionActions(Stream&, const CallEvent&)>;
  using FeedEnd = std::function<router::SessionActions(Stream&, const absl::Status&)>;
  Calls::Id OpenMoveCall(const Stream& stream, SimWorker* worker, const char* what,
                         std::function<void(Calls::Id, SimWorker::OnCallEvent)> serve, FeedMove feed,
                         FeedEnd end);
  void OnDecodeEvent(const StreamId& id, uint32_t claim, Attempt attempt, const CallEvent& event,
                     const Epoch& epoch);
  void OnPrefillEvent(const StreamId& id, uint32_t claim, Attempt attempt, const CallEvent& event);
  void ForgetCall(std::optional<RouterCall>& call, Attempt attempt);
  void CancelCall(Stream& stream, std::optional<RouterCall>& call, bool decode);
  void EmitToken(Stream& stream, const router::StreamToken& token);
  void Take(const StreamId& id, uint32_t claim);  // a slow reader takes a token
  void FileTimer(Stream& stream);
  void EndStream(Stream& stream);
  absl::Duration Remaining(const Stream& stream) const;
  SimWorker* WorkerOf(uint64_t number) const;
  MonoTime Now() const { return context_.queue->NodeNow(node_); }

  const Context& context_;
  const NodeId node_;
  const std::string name_;
  std::vector<std::unique_ptr<SimWorker>>* const workers_;
  std::vector<std::pair<Client*, uint32_t>> arriving_;  // and under which claim
  std::unique_ptr<Life> life_;
};

}  // namespace baton::sim
