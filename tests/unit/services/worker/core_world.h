#pragma once

// A random world around a WorkerCore: engines and a handoff that answer late and in every order that their
// contracts allow, clients that come, break and crawl. Every answer of the core is checked against what the
// world knows.

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <set>

#include "services/worker/worker_core.h"

namespace baton {

class CoreWorld {
 public:
  CoreWorld(uint64_t seed, WorkerRole role);

  void RandomEvent();
  // Breaks all calls, lets every answer arrive and checks that nothing is left anywhere.
  void Settle();

  uint64_t calls() const { return next_call_ - 1; }
  const WorkerCore& core() const { return core_; }

 private:
  enum class Engine { kReserving, kPulling, kRunning, kPrefilling, kPrefilled, kSharing, kOver };
  struct Sequence {
    Engine state;
    uint32_t rank;
    HandoffId handoff;
    int64_t position = 0;
    bool prefill = false;  // or a share: readers' leases pin its pages
    bool fetch = false;
    int ends = 0;  // finished, failed, cancelled or released, as the engine saw it
    int releases = 0;
    bool quarantined = false;  // until fenced
    bool pinned = false;       // until released
  };
  struct Call {
    int64_t unsent = 0;
  };
  // What the handoff knows of one id, as owner or as reader.
  struct Lease {
    bool sealed = false;
  };
  struct Pull {
    bool lost = false;
  };

  bool Chance(int percent) { return static_cast<int>(rng_() % 100) < percent; }
  size_t Pick(size_t n) { return rng_() % n; }
  template <typename Map>
  auto PickFrom(Map& map) {
    return std::next(map.begin(), static_cast<std::ptrdiff_t>(Pick(map.size())));
  }

  void NewCall();
  void NewMove();
  void EngineActs(SeqId id, Sequence& seq);
  void Running(SeqId id, Sequence& seq);
  void End(Sequence& seq);
  void HandoffActs();
  bool Deliver();
  void Carry();

  void Take(uint32_t rank, const EngineCommand& command);
  void Do(uint32_t rank, const ServeCommand& c) { Add(c.id, Engine::kRunning, rank, c.spec); }
  void Do(uint32_t rank, const PrefillCommand& c) { Add(c.id, Engine::kPrefilling, rank, c.spec); }
  void Do(uint32_t rank, const ReserveCommand& c) { Add(c.id, Engine::kReserving, rank, c.spec); }
  void Do(uint32_t, const AdoptCommand& c);
  void Do(uint32_t, const RecomputeCommand& c);
  void Do(uint32_t, const FencedCommand& c);
  void Do(uint32_t, const CancelCommand& c);
  void Do(uint32_t, const ReleaseCommand& c);
  void Do(uint32_t rank, const FetchCommand& c);
  void Do(uint32_t rank, const ShareCommand& c);
  void Do(uint32_t, const PublishCommand& c);
  void Add(SeqId id, Engine state, uint32_t rank, const SequenceSpec& spec);

  void Do(const OwnBegin& c);
  void Do(const OwnOffer& c) { EXPECT_TRUE(ended_leases_.contains(c.id) || leases_.contains(c.id)); }
  void Do(const OwnSeal& c);
  void Do(const OwnRevoke& c);
  void Do(const PullBegin& c);
  void Do(const PullCancel& c);
  void EndLease(const HandoffId& id, bool held);
  void LosePull(const HandoffId& id);
  // Whether reads may still land in the sequence's pages, or a reader's lease still pins them.
  bool ReadsOpen(const Sequence& seq) const { return !seq.prefill && pulls_.contains(seq.handoff); }
  bool Leased(const Sequence& seq) const { return seq.prefill && leases_.contains(seq.handoff); }

  std::mt19937_64 rng_;
  MonoTime now_ = absl::UnixEpoch() + absl::Hours(1);
  WorkerCore core_;
  CallId next_call_ = 1;
  HandoffId current_;  // of the call being handed to the core
  std::map<CallId, Call> calls_;
  std::map<uint64_t, uint32_t> attempts_;
  std::map<uint64_t, uint32_t> rounds_;  // of moves
  std::map<SeqId, Sequence> sequences_;
  std::map<HandoffId, Lease> leases_;
  std::map<HandoffId, Pull> pulls_;
  std::set<HandoffId> ended_leases_;
  std::deque<EngineEvent> engine_events_[2];
  std::deque<HandoffEvent> handoff_events_;
};

}  // namespace baton
