#include "tests/unit/services/worker/core_world.h"

namespace baton {
namespace {

WorkerCoreOptions Options(WorkerRole role) {
  WorkerCoreOptions options;
  options.role = role;
  options.ranks = 2;
  options.max_context = 512;
  options.vocab_size = 100;
  options.max_calls = 12;
  options.emission_buffer = 6;
  options.max_call_time = absl::Seconds(20);
  return options;
}

}  // namespace

CoreWorld::CoreWorld(uint64_t seed, WorkerRole role) : rng_(seed), core_(Options(role)) {}

void CoreWorld::NewCall() {
  const uint64_t stream = 1 + Pick(20);
  uint32_t& highest = attempts_[stream];
  const uint32_t n = Chance(70) ? ++highest : Chance(50) ? highest : static_cast<uint32_t>(Pick(highest + 1));
  SequenceSpec spec;
  spec.tokens.assign(1 + Pick(60), 7);
  spec.prompt_tokens = 1 + static_cast<int64_t>(Pick(spec.tokens.size()));
  spec.max_tokens = 500;
  const CallId id = next_call_++;
  current_ = {{1, stream}, {1, n}};
  calls_[id] = Call{};
  const uint32_t rank = static_cast<uint32_t>(Pick(2));
  if (Chance(core_.role() == WorkerRole::kPrefill ? 90 : 10)) {
    core_.OnPrefill(id, {current_.stream, current_.attempt, rank, spec, {9, 9}, 0}, now_);
  } else {
    DecodeCall call{current_.stream, current_.attempt, rank, spec, std::nullopt};
    if (Chance(70)) call.source = KvPeer{"x", "", {8, 8}, 0};
    core_.OnDecode(id, call, now_);
  }
}

void CoreWorld::NewMove() {
  const bool of_stream = Chance(30);  // an id that Prefill and Decode have too
  const uint64_t move = 1 + Pick(of_stream ? 20 : 8);
  uint32_t& highest = (of_stream ? attempts_ : rounds_)[move];
  const uint32_t n = Chance(of_stream ? 30 : 70) ? ++highest
                     : of_stream                 ? highest
                                                 : static_cast<uint32_t>(Pick(highest + 1));
  current_ = {{of_stream ? 1u : 2u, move}, {1, n}};
  const PrefixMove what{current_.stream, current_.attempt, std::vector<TokenId>(32, 7)};
  const CallId id = next_call_++;
  calls_[id] = Call{};
  const uint32_t rank = static_cast<uint32_t>(Pick(2));
  if (Chance(50)) {
    core_.OnShare(id, {what, rank, {9, 9}, 0}, now_);
  } else {
    core_.OnFetch(id, {what, rank, KvPeer{"x", "", {8, 8}, 0}}, now_);
  }
}

void CoreWorld::RandomEvent() {
  now_ += absl::Milliseconds(Pick(8));
  const size_t what = Pick(100);
  if (what < 5) {
    NewCall();
  } else if (what < 6) {
    NewMove();
  } else if (what < 7 && !calls_.empty()) {
    core_.OnCallBroken(PickFrom(calls_)->first, now_);
  } else if (what < 11 && !calls_.empty()) {
    const auto it = PickFrom(calls_);
    core_.OnSent(it->first, std::exchange(it->second.unsent, 0));
  } else if (what < 15) {
    core_.OnTick(now_);
  } else if (what < 16) {
    core_.OnRole(Chance(20) ? WorkerRole::kPrefill : WorkerRole::kDecode);
  } else if (what < 60 && !sequences_.empty()) {
    const auto it = std::prev(sequences_.end(),
                              static_cast<std::ptrdiff_t>(1 + Pick(std::min<size_t>(16, sequences_.size()))));
    EngineActs(it->first, it->second);
  } else if (what < 70) {
    HandoffActs();
  } else {
    Deliver();
  }
  Carry();
}

void CoreWorld::EngineActs(SeqId id, Sequence& seq) {
  auto& out = engine_events_[seq.rank];
  if (seq.state == Engine::kOver || seq.state == Engine::kPrefilled) return;
  if (seq.fetch && seq.state == Engine::kPulling) return;
  if (seq.state == Engine::kSharing) {
    const bool known = Chance(70);
    seq.state = Engine::kPrefilled;
    seq.pinned = true;
    out.push_back(SharedEvent{id, {1, 2}, known ? 32 : 0, 1});
  } else if (Chance(3)) {
    End(seq);
    seq.quarantined = ReadsOpen(seq);
    seq.pinned = seq.prefill;
    out.push_back(FailedEvent{id, absl::InternalError("engine")});
  } else if (seq.state == Engine::kReserving) {
    seq.state = Engine::kPulling;
    out.push_back(ReservedEvent{id, {1, 2, 3, 4}, seq.fetch && Chance(20) ? 32 : 0, 32});
  } else if (seq.state == Engine::kRunning) {
    const bool last = Chance(10);
    out.push_back(TokenEvent{
        .id = id, .position = seq.position++, .finish = last ? FinishReason::kStop : FinishReason::kNone});
    if (last) End(seq);
  } else if (seq.state == Engine::kPrefilling && Chance(50)) {
    seq.state = Engine::kPrefilled;
    out.push_back(PrefilledEvent{id, {.id = id}});
  } else if (seq.state == Engine::kPrefilling) {
    out.push_back(ComputedEvent{id, 0, 60, 0, 1, {1, 2, 3, 4}, false});
  }
}

void CoreWorld::End(Sequence& seq) {
  seq.state = Engine::kOver;
  EXPECT_EQ(++seq.ends, 1);
}

void CoreWorld::HandoffActs() {
  if (Chance(50) && !leases_.empty()) {
    const auto it = PickFrom(leases_);
    const bool sealed = it->second.sealed;
    if (sealed || Chance(20)) EndLease(HandoffId(it->first), sealed && Chance(80));
  } else if (!pulls_.empty()) {
    const auto it = PickFrom(pulls_);
    const HandoffId id = it->first;
    if (it->second.lost) {
      pulls_.erase(it);
      handoff_events_.push_back(PullFenced{id});
    } else if (Chance(60)) {
      pulls_.erase(it);
      handoff_events_.push_back(PullHeld{id, 3});
    } else {
      LosePull(id);
    }
  }
}

void CoreWorld::LosePull(const HandoffId& id) {
  const bool fenced = Chance(50);
  handoff_events_.push_back(PullLost{id, absl::UnavailableError("lost"), fenced});
  if (fenced) {
    pulls_.erase(id);
  } else {
    pulls_[id].lost = true;
  }
}

void CoreWorld::EndLease(const HandoffId& id, bool held) {
  leases_.erase(id);
  ended_leases_.insert(id);
  handoff_events_.push_back(OwnEnded{id, held, held ? "" : "lost"});
}

bool CoreWorld::Deliver() {
  const size_t first = Pick(3);
  for (size_t i = 0; i < 3; ++i) {
    const size_t queue = (first + i) % 3;
    if (queue == 2) {
      if (handoff_events_.empty()) continue;
      HandoffEvent event = std::move(handoff_events_.front());
      handoff_events_.pop_front();
      core_.OnHandoffEvent(std::move(event), now_);
      return true;
    }
    if (engine_events_[queue].empty()) continue;
    EngineEvent event = std::move(engine_events_[queue].front());
    engine_events_[queue].pop_front();
    core_.OnEngineEvent(static_cast<uint32_t>(queue), std::move(event), {}, now_);
    return true;
  }
  return false;
}

void CoreWorld::Carry() {
  for (WorkerAction& action : core_.TakeActions()) {
    if (auto* send = std::get_if<SendEngine>(&action)) {
      std::visit([&](const auto& c) { Do(send->rank, c); }, send->command);
    } else if (auto* handoff = std::get_if<SendHandoff>(&action)) {
      std::visit([&](const auto& c) { Do(c); }, handoff->command);
    } else if (auto* emit = std::get_if<EmitEvent>(&action)) {
      const auto it = calls_.find(emit->call);
      ASSERT_NE(it, calls_.end()) << "an event after the call's end";
      EXPECT_LE(++it->second.unsent, 6 + 2);
    } else if (auto* end = std::get_if<EndCall>(&action)) {
      ASSERT_EQ(calls_.erase(end->call), 1u) << "a call ended twice";
    }
  }
  ASSERT_EQ(core_.CheckIntegrity(), absl::OkStatus());
  ASSERT_EQ(core_.open_calls(), calls_.size());
}

void CoreWorld::Settle() {
  while (!calls_.empty()) {
    core_.OnCallBroken(calls_.begin()->first, now_);
    Carry();
  }
  while (core_.jobs() > 0 || !engine_events_[0].empty() || !engine_events_[1].empty() ||
         !handoff_events_.empty()) {
    HandoffActs();
    Carry();
    while (Deliver()) Carry();
  }
  for (const auto& [id, seq] : sequences_) {
    EXPECT_EQ(seq.ends, 1) << "sequence " << id;
    EXPECT_FALSE(seq.quarantined || seq.pinned) << "sequence " << id;
  }
  EXPECT_TRUE(leases_.empty());
  EXPECT_TRUE(pulls_.empty());
}

void CoreWorld::Add(SeqId id, Engine state, uint32_t rank, const SequenceSpec& spec) {
  const int64_t position = static_cast<int64_t>(spec.tokens.size()) - spec.prompt_tokens;
  EXPECT_TRUE(
      sequences_.emplace(id, Sequence{state, rank, current_, position, state == Engine::kPrefilling}).second);
}

void CoreWorld::Do(uint32_t rank, const FetchCommand& c) {
  EXPECT_TRUE(sequences_.emplace(c.id, Sequence{Engine::kReserving, rank, current_}).second);
  sequences_.at(c.id).fetch = true;
}

void CoreWorld::Do(uint32_t rank, const ShareCommand& c) {
  EXPECT_TRUE(sequences_.emplace(c.id, Sequence{Engine::kSharing, rank, current_}).second);
  sequences_.at(c.id).prefill = true;
}

void CoreWorld::Do(uint32_t, const PublishCommand& c) {
  Sequence& seq = sequences_.at(c.id);
  EXPECT_FALSE(ReadsOpen(seq)) << "published while reads are open";
  EXPECT_TRUE(seq.fetch && seq.state == Engine::kPulling);
  End(seq);
}

void CoreWorld::Do(uint32_t, const AdoptCommand& c) {
  Sequence& seq = sequences_.at(c.id);
  EXPECT_FALSE(ReadsOpen(seq)) << "adopted while reads are open";
  seq.quarantined = false;
  if (seq.state != Engine::kOver) seq.state = Engine::kRunning;
}

void CoreWorld::Do(uint32_t, const RecomputeCommand& c) {
  Sequence& seq = sequences_.at(c.id);
  EXPECT_FALSE(c.fenced && ReadsOpen(seq)) << "pages reused while reads are open";
  seq.quarantined = !c.fenced;
  if (seq.state != Engine::kOver) seq.state = Engine::kRunning;
}

void CoreWorld::Do(uint32_t, const FencedCommand& c) {
  Sequence& seq = sequences_.at(c.id);
  EXPECT_FALSE(ReadsOpen(seq)) << "fenced while reads are open";
  seq.quarantined = false;
}

void CoreWorld::Do(uint32_t, const CancelCommand& c) {
  Sequence& seq = sequences_.at(c.id);
  EXPECT_FALSE(c.fenced && ReadsOpen(seq)) << "pages freed while reads are open";
  EXPECT_FALSE(c.fenced && Leased(seq)) << "pages freed under a lease";
  seq.quarantined = !c.fenced && !seq.prefill;
  seq.pinned = !c.fenced && seq.prefill;
  if (seq.state != Engine::kOver) End(seq);
}

void CoreWorld::Do(uint32_t, const ReleaseCommand& c) {
  Sequence& seq = sequences_.at(c.id);
  EXPECT_TRUE(seq.prefill);
  EXPECT_EQ(++seq.releases, 1);
  EXPECT_FALSE(Leased(seq)) << "pages freed under a lease";
  seq.pinned = false;
  if (seq.state != Engine::kOver) End(seq);
}

void CoreWorld::Do(const OwnBegin& c) {
  EXPECT_TRUE(leases_.emplace(c.id, Lease{}).second);
}

void CoreWorld::Do(const OwnSeal& c) {
  if (const auto it = leases_.find(c.id); it != leases_.end()) it->second.sealed = true;
}

void CoreWorld::Do(const OwnRevoke& c) {
  if (leases_.contains(c.id)) EndLease(c.id, false);
}

void CoreWorld::Do(const PullBegin& c) {
  EXPECT_TRUE(pulls_.emplace(c.id, Pull{}).second);
}

void CoreWorld::Do(const PullCancel& c) {
  if (const auto it = pulls_.find(c.id); it != pulls_.end() && !it->second.lost) LosePull(c.id);
}

}  // namespace baton
