#pragma once

// The insides of Simulate (simulation.h): ranks, router and the queue of events.

#include <queue>
#include <vector>

#include "absl/time/time.h"
#include "tools/sim/rank.h"
#include "tools/sim/sim_router.h"
#include "tools/sim/simulation.h"

namespace baton::simulator {

class Simulation {
 public:
  Simulation(const RunOptions& options, absl::Span<const Request> requests, uint32_t page_tokens,
             SimRouter router);
  RunResult Run();

 private:
  enum class Kind : uint8_t { kArrival, kPlace, kStepEnd, kKvArrived, kReport, kAdmission };
  struct Event {
    double at = 0;
    uint64_t order = 0;  // of equal times, as they were made
    Kind kind = Kind::kArrival;
    uint32_t which = 0;
    bool operator>(const Event& other) const { return at != other.at ? at > other.at : order > other.order; }
  };
  struct Stream {
    PlacedRequest placed;
    uint32_t prefill = 0, decode = 0;  // ranks
    uint32_t answer = 0;
    uint32_t tokens = 0, told = 0, sent_to = 0;
    double first_s = -1, last_s = 0, told_s = 0, arrived_s = 0;
    uint32_t refusals = 0;
    uint32_t direct : 1 = 0, ended : 1 = 0;
    std::vector<router::RankRef> avoid;
  };

  void AddRanks(router::WorkerRole role, uint32_t count, double step_tokens);
  void Push(double at, Kind kind, uint32_t which);
  void Handle(const Event& event);
  void Arrive(uint32_t request);
  void Place(uint32_t request);
  void Begin(uint32_t request);
  void Retry(uint32_t request);
  void Kick(uint32_t rank);
  void StepEnd(uint32_t rank);
  void Chunk(uint32_t rank, const StepResult::Chunk& chunk);
  void Send(uint32_t request, const StepResult::Chunk& chunk);
  void KvArrived(uint32_t request);
  void Token(uint32_t request);
  void TellTokens(uint32_t request);
  void Finish(uint32_t request);
  void Reject(uint32_t request);
  void Report(uint32_t worker);
  void Admit(const router::AdmissionChanges& changes);
  void CheckAdmission();
  uint32_t RankOf(router::RankRef ref) const { return first_rank_[ref.worker - 1] + ref.rank; }
  MonoTime Now() const { return absl::UnixEpoch() + absl::Seconds(now_s_); }
  bool Counts(uint32_t request) const { return request >= first_counted_; }
  void Summarise();

  const RunOptions& options_;
  const absl::Span<const Request> requests_;
  const uint32_t page_tokens_;
  SimRouter router_;
  std::vector<SimRank> ranks_;
  std::vector<double> link_out_s_, link_in_s_;     // by rank: busy until
  std::vector<uint32_t> first_rank_, rank_count_;  // by worker
  std::vector<std::vector<router::RankReport>> reported_;
  std::vector<Stream> streams_;
  std::priority_queue<Event, std::vector<Event>, std::greater<Event>> events_;
  uint64_t order_ = 0;
  uint32_t open_ = 0;  // requests that are neither finished nor sent away
  uint32_t first_counted_ = 0;
  double now_s_ = 0;
  RunResult result_;
};

}  // namespace baton::simulator
