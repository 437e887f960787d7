#pragma once

// A seeded story of an owner and a reader at their worst: messages and bytes lost, repeated, late, damaged
// and forged; revokes, cancels, restarts, an end for good, engines that stop; pages overwritten as soon as
// they may be; and ids begun a second time, which Baton does not do. Everything that docs/handoff.md promises
// is watched.

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/variants/party.h"

namespace baton::testing {

class Story {
 public:
  explicit Story(uint64_t seed);
  // The first promise broken, in words; empty: none.
  std::string Run();
  int held() const { return held_; }

 private:
  static constexpr int kIds = 3;
  static constexpr int64_t kPagesEach = 2;
  static constexpr absl::Duration kLease = absl::Seconds(2);

  struct Handoff {
    int tries = 0;
    int64_t tokens = 0, offered = 0;
    bool own_due = false, pull_due = false;  // commands on their way
    Epoch owner_named, reader_named;         // by them
    std::vector<PageId> from, to;
    bool owned = false, sealed = false, stalled = false;
    std::vector<uint64_t> truth;              // of the live record's bytes
    std::vector<std::vector<uint64_t>> held;  // of the records that ended held
    Id128 secret;                             // of the live record's lease
    bool pulling = false, fence_due = false;
    bool guarded = false;         // `to` is free: nothing may write there
    std::vector<uint64_t> guard;  // its checksums since
  };
  struct Said {
    bool held = false;
    MonoTime at;
  };

  bool Chance(double p) { return std::uniform_real_distribution<>(0, 1)(rng_) < p; }
  LoopbackFault Fate(const LoopbackFrame& frame);
  std::unique_ptr<Party> NewParty(const std::string& name, TestMemory* memory, bool owner);
  void StartOwner();
  void StartReader();

  void Act(int n);
  void Deliver(int n);
  void Progress(int n);
  void Disturb(int n);
  void Forge(int n);
  void Turn(absl::Duration by);
  void CheckAtRest();
  void CheckLives();

  UnitRect Whole(const Handoff& h) const { return {0, h.tokens, 0, kSmallLayout.layers}; }
  void Scribble(TestMemory& memory, const std::vector<PageId>& pages);
  void Free(Handoff& h);
  void CheckGuard(const Handoff& h);
  void Broken(const std::string& what) {
    if (broken_.empty()) broken_ = what;
  }

  void On(const HandoffEvent& event);
  void OnEnded(const OwnEnded& e);
  void OnHeld(const PullHeld& e);
  void OnOwnerSends(PeerId to, const v1::Handoff& sent, const v1::Handoff* heard);
  void OnOpened(const v1::Handoff& sent);
  void OnReaderSends(const v1::Handoff& sent);
  Handoff& Of(const HandoffId& id) { return handoffs_[id.stream.lo]; }

  std::mt19937_64 rng_;
  const int mode_;
  std::string broken_;
  ManualClock clock_;
  LoopbackNetwork network_;
  TestMemory owner_memory_{kSmallLayout, kIds*kPagesEach}, reader_memory_{kSmallLayout, kIds*kPagesEach};
  std::vector<Handoff> handoffs_{kIds};
  std::unique_ptr<Party> owner_, reader_;
  std::unique_ptr<Transport> intruder_;
  Epoch owner_epoch_, reader_epoch_;
  int held_ = 0;

  std::map<std::pair<Epoch, uint64_t>, Id128> leases_;                       // ids used, with their secrets
  std::map<std::tuple<Epoch, PeerId, HandoffId, uint64_t>, Said> verdicts_;  // said of a lease
  std::set<std::pair<uint64_t, uint64_t>> confirmed_;                        // secrets
  std::map<Epoch, MonoTime> followed_;  // lives of the reader, since when
  Epoch granted_to_;                    // the latest
};

}  // namespace baton::testing
