#pragma once

// A whole cluster and its clients in virtual time, from one seed. Run() ends when every stream has ended and
// everything that was taken has been given back, or at the first broken invariant:
//
// - every client received the tokens that the oracle's single engine gives, none lost, repeated or out of
// order, or was told
//   of an error after a prefix of them; every stream ends within a bounded time;
// - the model never attended to wrong KV; page classes sum to the total at every step;
// EngineCore::CheckIntegrity holds;
// - a reader says *held* only after its owner did;
// - a worker emits only on the highest attempt it has seen of a stream, a router only tokens of the current
// attempt;
// - at the end there are no sequences, calls, leases, pulls, reads, sessions or charges, and all pages are
// free or cached.

#include <memory>
#include <string>
#include <vector>

#include "tests/sim/client.h"
#include "tests/sim/faults.h"
#include "tests/sim/sim_router.h"
#include "tests/sim/sim_worker.h"
#include "tests/sim/workload.h"

namespace baton::sim {

struct WorldResult {
  uint64_t seed = 0;
  std::string failure;  // empty: every invariant held
  uint64_t events = 0;
  uint64_t trace_hash = 0;
  absl::Duration virtual_time;
  int streams = 0, finished = 0;
};

class World {
 public:
  // `coverage` is added to.
  World(const WorldOptions& options, Coverage* coverage, bool print_trace);
  ~World();

  WorldResult Run();

 private:
  static constexpr absl::Duration kEndWithin = absl::Seconds(90);     // of the healing: every stream
  static constexpr absl::Duration kSettleWithin = absl::Seconds(60);  // of the last end: everything else

  void Build();
  void Arrive(Client* client);
  bool Reconnect(Client* client);
  void OnRouterPaused(int router);
  void Poll();
  bool AllEnded() const;
  std::string WhyNotAtBaseline() const;
  void Conclude();

  const WorldOptions options_;
  Prng prng_;
  EventQueue queue_;
  Trace trace_;
  Checker checker_;
  Coverage* const coverage_;
  Network network_;
  Calls calls_;
  TransportHub hub_;
  Context context_;
  VerdictBook book_;
  std::vector<Request> requests_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<SimWorker>> workers_;
  std::vector<std::unique_ptr<SimRouter>> routers_;
  std::unique_ptr<Faults> faults_;
  MonoTime settled_by_ = absl::InfiniteFuture();
  bool done_ = false;
};

WorldResult RunSeed(uint64_t seed, Mutation mutation, Coverage* coverage, bool print_trace);

}  // namespace baton::sim
