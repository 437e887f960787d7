// SimRouter's other half: a stream's session, its calls and its client.

#include <algorithm>
#include <utility>

#include "services/router/policy/policies/factory.h"
#include "tests/sim/sim_router.h"
#include "tests/sim/sim_router_state.h"

namespace baton::sim {
namespace {

constexpr const char* kStateNames[] = {"new", "placing", "opening", "running", "backoff", "done"};

router::StreamFinish FinishOf(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return router::StreamFinish::kStopToken;
    case FinishReason::kLength:
      return router::StreamFinish::kLength;
    case FinishReason::kNone:
      break;
  }
  return router::StreamFinish::kNone;
}

router::HandoffOutcome OutcomeOf(KvOutcome outcome) {
  switch (outcome) {
    case KvOutcome::kHeld:
      return router::HandoffOutcome::kHeld;
    case KvOutcome::kLost:
      return router::HandoffOutcome::kLost;
    case KvOutcome::kLocal:
      return router::HandoffOutcome::kLocal;
    case KvOutcome::kUnspecified:
      break;
  }
  return router::HandoffOutcome::kUnknown;
}

router::StreamToken TokenOf(const GeneratedToken& token) {
  return {static_cast<uint32_t>(token.position), token.token, token.logprob, {}};
}

}  // namespace

void SimRouter::Drive(const StreamId& id, uint32_t claim, const Feed& feed) {
  const auto it = life_->streams.find(id);
  if (it == life_->streams.end() || it->second.claim != claim) return;
  Stream& stream = it->second;
  const auto before = stream.session.state();
  router::SessionActions actions = feed(stream);
  const auto after = stream.session.state();
  if (before != after) {
    context_.coverage->Hit(absl::StrCat("session/", kStateNames[static_cast<int>(before)], " -> ",
                                        kStateNames[static_cast<int>(after)]));
  }
  Carry(stream, std::move(actions));
}

void SimRouter::Carry(Stream& stream, router::SessionActions first) {
  std::deque<router::SessionAction> todo(first.begin(), first.end());
  while (!todo.empty()) {
    const router::SessionAction action = std::move(todo.front());
    todo.pop_front();
    const auto before = stream.session.state();
    router::SessionActions more = Act(stream, action);
    const auto after = stream.session.state();
    if (before != after) {
      context_.coverage->Hit(absl::StrCat("session/", kStateNames[static_cast<int>(before)], " -> ",
                                          kStateNames[static_cast<int>(after)]));
    }
    todo.insert(todo.end(), more.begin(), more.end());
  }
  if (stream.session.done()) return EndStream(stream);
  FileTimer(stream);
}

router::SessionActions SimRouter::Act(Stream& stream, const router::SessionAction& action) {
  if (const auto* place = std::get_if<router::Place>(&action)) return Place(stream, *place);
  if (const auto* open = std::get_if<router::OpenDecode>(&action)) return OpenDecode(stream, *open);
  if (const auto* open = std::get_if<router::OpenPrefill>(&action)) return OpenPrefill(stream, *open);
  if (const auto* open = std::get_if<router::OpenShare>(&action)) return OpenShare(stream, *open);
  if (const auto* open = std::get_if<router::OpenFetch>(&action)) return OpenFetch(stream, *open);
  if (std::holds_alternative<router::CancelMove>(action)) CancelMove(stream);
  if (const auto* ended = std::get_if<router::MoveEnded>(&action)) OnMoveEnded(stream, *ended);
  if (const auto* cancel = std::get_if<router::CancelDecode>(&action)) {
    const bool next = stream.next && stream.next->attempt == cancel->attempt;
    CancelCall(stream, next ? stream.next : stream.decode, true);
  }
  if (std::holds_alternative<router::CancelPrefill>(action)) CancelCall(stream, stream.prefill, false);
  if (const auto* emit = std::get_if<router::EmitToken>(&action)) EmitToken(stream, emit->token);
  if (const auto* finish = std::get_if<router::Finish>(&action))
    stream.client->OnFinish(stream.claim, finish->reason);
  if (const auto* fail = std::get_if<router::Fail>(&action))
    stream.client->OnFail(stream.claim, fail->status);
  if (std::holds_alternative<router::EndQuietly>(action)) {
    context_.coverage->Hit("router/ended quietly");
    stream.client->OnQuietEnd(stream.claim);
  }
  return {};
}

router::SessionActions SimRouter::Place(Stream& stream, const router::Place& place) {
  router::PlacementRequest request;
  const uint32_t emitted = stream.session.emission().next_position();
  request.prompt_tokens = static_cast<uint32_t>(stream.request().spec.tokens.size()) + emitted;
  request.max_new_tokens = static_cast<uint32_t>(stream.request().spec.max_tokens);
  request.avoid = place.avoid;
  if (life_->policy == nullptr) {
    const std::vector<std::string> names = router::PolicyNames();
    life_->policy = *router::MakePolicy(names[context_.options->seed % names.size()],
                                        {.direct_below_tokens = context_.options->direct_below});
  }
  auto placement = life_->policy->Place(
      {.stream = ++life_->placements, .ranks = life_->table.Ranks(), .request = request, .now = Now()},
      life_->random);
  if (placement.ok() && emitted > 0) context_.coverage->Hit("placement/replay");
  if (placement.ok()) life_->table.Placed(placement->decode.worker, Now());
  context_.coverage->Hit(!placement.ok()      ? "placement/none"
                         : placement->prefill ? "placement/split"
                                              : "placement/direct");
  return stream.session.Placed(place.attempt, std::move(placement), Now());
}

absl::Duration SimRouter::Remaining(const Stream& stream) const {
  return stream.deadline == absl::InfiniteFuture() ? absl::InfiniteDuration() : stream.deadline - Now();
}

router::SessionActions SimRouter::OpenDecode(Stream& stream, const router::OpenDecode& open) {
  SimWorker* worker = WorkerOf(open.target.worker);
  if (worker == nullptr)
    return stream.session.DecodeEnded(open.attempt, absl::UnavailableError("the worker is gone"), Now());
  DecodeCall call{stream.request().stream, open.attempt, open.target.rank, stream.request().spec,
                  std::nullopt};
  call.spec.tokens.insert(call.spec.tokens.end(), open.emitted.begin(), open.emitted.end());
  if (open.source) {
    const router::WorkerState* source = life_->table.Find(open.source->worker);
    if (source == nullptr)
      return stream.session.DecodeEnded(open.attempt, absl::UnavailableError("the source is gone"), Now());
    call.source = KvPeer{source->facts.kv.address, "", source->facts.kv.epoch, open.source->rank};
  }
  const StreamId id = stream.request().stream;
  const uint32_t claim = stream.claim;
  const Attempt attempt = open.attempt;
  const uint64_t tokens = open.source ? 0 : call.spec.tokens.size();
  const auto on_event = [this, id, claim, attempt](const CallEvent& event, const Epoch& epoch) {
    OnDecodeEvent(id, claim, attempt, event, epoch);
  };
  Calls::Server server;
  server.start = [worker, call, remaining = Remaining(stream), on_event](Calls::Id call_id) {
    worker->ServeDecode(call_id, call, remaining, on_event);
  };
  server.on_broken = [worker](Calls::Id call_id) { worker->OnBroken(call_id); };
  server.on_sent = [worker](Calls::Id call_id, int64_t n) { worker->OnSent(call_id, n); };
  const auto on_end = [this, id, claim, attempt, at = open.target.worker](const absl::Status& status) {
    if (absl::IsUnavailable(status)) life_->table.CallFailed(at, Now());
    Drive(id, claim, [&](Stream& s) {
      ForgetCall(s.decode, attempt);
      ForgetCall(s.next, attempt);
      const Attempt before = s.session.attempt();
      router::SessionActions actions = s.session.DecodeEnded(attempt, status, Now());
      if (s.session.attempt() != before && !s.session.done()) {
        const bool fetching = std::holds_alternative<router::CancelMove>(actions.front());
        context_.coverage->Hit(fetching ? "move/taken over while fetching"
                                        : "move/taken over while switching");
      }
      return actions;
    });
  };
  const Calls::Id call_id =
      context_.calls->Open(node_, worker->node(), "decode", {on_end}, std::move(server));
  (open.moved ? stream.next : stream.decode) = RouterCall{call_id, attempt, open.target, tokens};
  life_->table.Charge(open.target, 1, tokens);
  return {};
}

router::SessionActions SimRouter::OpenPrefill(Stream& stream, const router::OpenPrefill& open) {
  SimWorker* worker = WorkerOf(open.target.worker);
  if (worker == nullptr)
    return stream.session.PrefillEnded(open.attempt, absl::UnavailableError("the worker is gone"), Now());
  PrefillCall call{stream.request().stream, open.attempt,      open.target.rank,
                   stream.request().spec,   open.reader_epoch, open.reader.rank};
  call.spec.tokens.insert(call.spec.tokens.end(), open.emitted.begin(), open.emitted.end());
  const StreamId id = stream.request().stream;
  const uint32_t claim = stream.claim;
  const Attempt attempt = open.attempt;
  const uint64_t tokens = call.spec.tokens.size();
  const auto on_event = [this, id, claim, attempt](const CallEvent& event, const Epoch&) {
    OnPrefillEvent(id, claim, attempt, event);
  };
  Calls::Server server;
  server.start = [worker, call, remaining = Remaining(stream), on_event](Calls::Id call_id) {
    worker->ServePrefill(call_id, call, remaining, on_event);
  };
  server.on_broken = [worker](Calls::Id call_id) { worker->OnBroken(call_id); };
  server.on_sent = [worker](Calls::Id call_id, int64_t n) { worker->OnSent(call_id, n); };
  const auto on_end = [this, id, claim, attempt, at = open.target.worker](const absl::Status& status) {
    if (absl::IsUnavailable(status)) life_->table.CallFailed(at, Now());
    Drive(id, claim, [&](Stream& s) {
      ForgetCall(s.prefill, attempt);
      return s.session.PrefillEnded(attempt, status, Now());
    });
  };
  const Calls::Id call_id =
      context_.calls->Open(node_, worker->node(), "prefill", {on_end}, std::move(server));
  stream.prefill = RouterCall{call_id, attempt, open.target, tokens};
  life_->table.Charge(open.target, 1, tokens);
  return {};
}

void SimRouter::OnDecodeEvent(const StreamId& id, uint32_t claim, Attempt attempt, const CallEvent& event,
                              const Epoch& epoch) {
  Drive(id, claim, [&](Stream& stream) -> router::SessionActions {
    const Attempt as = context_.Mutated(Mutation::kAcceptOldAttempt) ? stream.session.attempt() : attempt;
    stream.token_attempt = attempt;
    if (attempt != stream.session.attempt()) context_.coverage->Hit("router/event of an old attempt");
    if (const auto* accepted = std::get_if<DecodeAccepted>(&event)) {
      if (attempt == stream.session.attempt()) life_->table.CallWorked(stream.session.decode_rank().worker);
      return stream.session.DecodeAccepted(attempt, epoch, static_cast<uint32_t>(accepted->cached_tokens),
                                           Now());
    }
    if (const auto* token = std::get_if<GeneratedToken>(&event)) {
      return stream.session.DecodeToken(as, TokenOf(*token), Now());
    }
    const DecodeFinished& finished = std::get<DecodeFinished>(event);
    const std::string world = context_.options->faults.calm ? "calm stream/" : "stream/";
    if (finished.kv == KvOutcome::kHeld) context_.coverage->Hit(world + "held");
    if (finished.kv == KvOutcome::kLost) context_.coverage->Hit(world + "recomputed");
    return stream.session.DecodeFinished(attempt, FinishOf(finished.reason), OutcomeOf(finished.kv), Now());
  });
}

void SimRouter::OnPrefillEvent(const StreamId& id, uint32_t claim, Attempt attempt, const CallEvent& event) {
  Drive(id, claim, [&](Stream& stream) -> router::SessionActions {
    stream.token_attempt = attempt;
    if (const auto* first = std::get_if<PrefillFirstToken>(&event)) {
      return stream.session.PrefillFirstToken(attempt, TokenOf(first->token),
                                              static_cast<uint32_t>(first->cached_tokens),
                                              FinishOf(first->finish), Now());
    }
    return stream.session.HandoffEnded(attempt, OutcomeOf(std::get<PrefillHandoffEnded>(event).outcome));
  });
}

void SimRouter::ForgetCall(std::optional<RouterCall>& call, Attempt attempt) {
  if (!call || call->attempt != attempt) return;
  life_->table.Discharge(call->rank, 1, call->tokens);
  call.reset();
}

void SimRouter::CancelCall(Stream& stream, std::optional<RouterCall>& call, bool decode) {
  if (!call) return;
  life_->table.Discharge(call->rank, 1, call->tokens);
  // What is under way still arrives for a while after a cancel, and then the end, as with gRPC.
  Prng& prng = *context_.network->prng();
  const absl::Duration linger =
      absl::Microseconds(prng.Chance(200) ? prng.Range(1000, 80000) : prng.Range(1, 2000));
  context_.queue->After(node_, linger,
                        [this, id = call->id, attempt = call->attempt, decode, claim = stream.claim,
                         stream_id = stream.request().stream] {
                          if (!context_.calls->Cancel(id)) return;
                          Drive(stream_id, claim, [&](Stream& s) {
                            const absl::Status status = absl::CancelledError("cancelled by the router");
                            return decode ? s.session.DecodeEnded(attempt, status, Now())
                                          : s.session.PrefillEnded(attempt, status, Now());
                          });
                        });
  call.reset();
}

void SimRouter::EmitToken(Stream& stream, const router::StreamToken& token) {
  context_.checker->Require(stream.token_attempt == stream.session.attempt(), name_,
                            ": a token of an old attempt was emitted");
  context_.Note(name_, "emits", "client", stream.request().index, " ", token.position, ": ", token.token);
  stream.client->OnToken(stream.claim, token);
  if (stream.request().token_time == absl::ZeroDuration()) return;
  ++stream.untaken;
  if (std::exchange(stream.taking, true)) return;
  context_.queue->After(node_, stream.request().token_time,
                        [this, id = stream.request().stream, claim = stream.claim] { Take(id, claim); });
}

void SimRouter::Take(const StreamId& id, uint32_t claim) {
  Drive(id, claim, [&](Stream& stream) -> router::SessionActions {
    if (stream.untaken > 12) {
      context_.coverage->Hit("router/reader too slow");
      return stream.session.ReaderTooSlow();
    }
    stream.taking = --stream.untaken > 0;
    if (stream.taking)
      context_.queue->After(node_, stream.request().token_time, [this, id, claim] { Take(id, claim); });
    return {};
  });
}

void SimRouter::FileTimer(Stream& stream) {
  const MonoTime due = stream.session.NextDeadline();
  if (due >= stream.timer) return;
  stream.timer = due;
  context_.queue->At(node_, context_.queue->FromNodeTime(node_, due),
                     [this, id = stream.request().stream, claim = stream.claim, due] {
                       Drive(id, claim, [&](Stream& s) -> router::SessionActions {
                         if (s.timer == due) s.timer = absl::InfiniteFuture();
                         return s.session.Tick(Now());
                       });
                     });
}

}  // namespace baton::sim
