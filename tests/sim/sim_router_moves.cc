// SimRouter's third part: streams that move from rank to rank.

#include <algorithm>
#include <utility>

#include "tests/sim/sim_router.h"
#include "tests/sim/sim_router_state.h"

namespace baton::sim {
namespace {

router::HandoffOutcome OutcomeOf(KvOutcome outcome) {
  if (outcome == KvOutcome::kHeld) return router::HandoffOutcome::kHeld;
  return outcome == KvOutcome::kLost ? router::HandoffOutcome::kLost : router::HandoffOutcome::kLocal;
}

}  // namespace

void SimRouter::MoveAny(uint64_t which) {
  if (life_ == nullptr) return;
  std::vector<StreamId> movable;
  for (const auto& [id, stream] : life_->streams) {
    if (stream.session.CanMove().ok()) movable.push_back(id);
  }
  if (movable.empty()) return;
  const StreamId id = movable[which % movable.size()];
  const router::RankRef at = life_->streams.at(id).session.decode_rank();
  std::vector<router::RankRef> targets;
  for (const router::RankView& rank : life_->table.Ranks()) {
    if (rank.role == router::WorkerRole::kDecode && rank.healthy && !rank.draining && rank.ref != at)
      targets.push_back(rank.ref);
  }
  if (!targets.empty()) Move(id, targets[which / 64 % targets.size()], /*draining=*/false);
}

void SimRouter::MoveDraining() {
  std::vector<router::StreamAt> movable;
  for (const auto& [id, stream] : life_->streams) {
    if (stream.session.CanMove().ok()) movable.push_back({id, stream.session.decode_rank()});
  }
  for (const router::DrainMove& move : life_->drain_moves.Plan(movable, life_->table.Ranks(), Now())) {
    Move(move.id, move.target, /*draining=*/true);
  }
}

void SimRouter::Move(const StreamId& id, router::RankRef target, bool draining) {
  context_.coverage->Hit("move/begun");
  Drive(id, life_->streams.at(id).claim, [&](Stream& stream) {
    stream.draining = draining;
    return stream.session.Move(target, Now());
  });
}

void SimRouter::OnMoveEnded(Stream& stream, const router::MoveEnded& ended) {
  context_.Note(name_, "move ended", "client", stream.request().index, " ", ended.status.message());
  if (stream.draining) life_->drain_moves.Ended(stream.request().stream, ended.status, Now());
  CancelMove(stream);
  if (!ended.status.ok()) {
    context_.coverage->Hit("move/given up");
    return;
  }
  context_.coverage->Hit(stream.draining ? "move/done after a drain" : "move/done");
  context_.checker->Require(!stream.decode, name_, ": a move ended, and the old call was not cancelled");
  stream.decode = std::exchange(stream.next, std::nullopt);
}

PrefixMove SimRouter::Moving(const Stream& stream, uint32_t round,
                             const std::vector<TokenId>& emitted) const {
  PrefixMove move{stream.move_id, {stream.claim, round}, stream.request().spec.tokens, {}};
  move.tokens.insert(move.tokens.end(), emitted.begin(), emitted.end());
  return move;
}

void SimRouter::CancelMove(Stream& stream) {
  for (std::optional<Calls::Id>* call : {&stream.share, &stream.fetch}) {
    if (*call) context_.calls->Cancel(**call);
    call->reset();
  }
}

Calls::Id SimRouter::OpenMoveCall(const Stream& stream, SimWorker* worker, const char* what,
                                  std::function<void(Calls::Id, SimWorker::OnCallEvent)> serve, FeedMove feed,
                                  FeedEnd end) {
  const StreamId id = stream.request().stream;
  const uint32_t claim = stream.claim;
  const auto on_event = [this, id, claim, feed](const CallEvent& event, const Epoch&) {
    Drive(id, claim, [&](Stream& s) { return feed(s, event); });
  };
  Calls::Server server;
  server.start = [serve, on_event](Calls::Id call_id) { serve(call_id, on_event); };
  server.on_broken = [worker](Calls::Id call_id) { worker->OnBroken(call_id); };
  server.on_sent = [worker](Calls::Id call_id, int64_t n) { worker->OnSent(call_id, n); };
  const auto on_end = [this, id, claim, end](const absl::Status& status) {
    Drive(id, claim, [&](Stream& s) { return end(s, status); });
  };
  return context_.calls->Open(node_, worker->node(), what, {on_end}, std::move(server));
}

router::SessionActions SimRouter::OpenShare(Stream& stream, const router::OpenShare& open) {
  CancelMove(stream);
  SimWorker* worker = WorkerOf(open.source.worker);
  const router::WorkerState* reader = life_->table.Find(open.reader.worker);
  if (worker == nullptr || reader == nullptr)
    return stream.session.ShareEnded(open.round, absl::UnavailableError("a worker is gone"), Now());
  const ShareCall call{Moving(stream, open.round, open.emitted), open.source.rank, reader->facts.kv.epoch,
                       open.reader.rank};
  stream.share = OpenMoveCall(
      stream, worker, "share",
      [worker, call](Calls::Id id, SimWorker::OnCallEvent on_event) {
        worker->ServeShare(id, call, absl::Seconds(4), std::move(on_event));
      },
      [this, round = open.round](Stream& s, const CallEvent& event) -> router::SessionActions {
        const auto* shared = std::get_if<PrefixShared>(&event);
        if (shared == nullptr) return {};
        if (shared->tokens == 0) context_.coverage->Hit("move/nothing shared");
        return s.session.PrefixShared(round, static_cast<uint32_t>(shared->tokens), Now());
      },
      [this, round = open.round](Stream& s, const absl::Status& status) {
        return s.session.ShareEnded(round, status, Now());
      });
  return {};
}

router::SessionActions SimRouter::OpenFetch(Stream& stream, const router::OpenFetch& open) {
  SimWorker* worker = WorkerOf(open.target.worker);
  const router::WorkerState* source = life_->table.Find(open.source.worker);
  if (worker == nullptr || source == nullptr)
    return stream.session.FetchEnded(open.round, absl::UnavailableError("a worker is gone"), Now());
  FetchCall call{Moving(stream, open.round, open.emitted), open.target.rank,
                 KvPeer{source->facts.kv.address, "", source->facts.kv.epoch, open.source.rank}};
  call.move.tokens.resize(open.tokens);
  stream.fetch = OpenMoveCall(
      stream, worker, "fetch",
      [worker, call](Calls::Id id, SimWorker::OnCallEvent on_event) {
        worker->ServeFetch(id, call, absl::Seconds(4), std::move(on_event));
      },
      [this, round = open.round](Stream& s, const CallEvent& event) {
        const KvOutcome outcome = std::get<PrefixFetched>(event).outcome;
        context_.coverage->Hit(outcome == KvOutcome::kLost ? "move/fetch lost" : "move/fetch held");
        router::SessionActions actions = s.session.PrefixFetched(round, OutcomeOf(outcome), Now());
        if (!actions.empty() && std::holds_alternative<router::OpenShare>(actions.front()))
          context_.coverage->Hit("move/another round");
        return actions;
      },
      [this, round = open.round](Stream& s, const absl::Status& status) {
        return s.session.FetchEnded(round, status, Now());
      });
  return {};
}

}  // namespace baton::sim
